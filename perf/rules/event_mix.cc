#include "perf/rules/event_mix.h"

#include <fmt/format.h>

#include <array>

namespace sluice::perf {
namespace {

using namespace policy::rules;  // NOLINT(google-build-using-namespace): all of this file is about it

constexpr std::array<const char*, 12> kPrograms = {"nginx",    "java",         "python3",    "node",
                                                   "postgres", "redis-server", "cron",       "dockerd",
                                                   "kubelet",  "systemd",      "containerd", "envoy"};
constexpr std::array<const char*, 12> kFiles = {"/usr/lib/x86_64-linux-gnu/libc.so.6",
                                                "/etc/ld.so.cache",
                                                "/proc/self/status",
                                                "/var/lib/postgresql/data/base/16384/2601",
                                                "/usr/share/zoneinfo/UTC",
                                                "/app/node_modules/express/lib/router/index.js",
                                                "/tmp/cache/0f/3c/9e",
                                                "/var/log/app/service.log",
                                                "/sys/fs/cgroup/memory.current",
                                                "/opt/java/lib/modules",
                                                "/home/app/.cache/index",
                                                "/dev/null"};
constexpr std::uint64_t kStart = 1'764'582'010'000'000'000;

EventType TypeOf(const char* name) { return FindEventType(name).value_or(0); }

// A number from 0 to 99 that looks like chance.
std::size_t Spread(std::size_t number) { return number * 2654435761U / 65536 % 100; }

}  // namespace

EventMix::EventMix(std::size_t processes, std::size_t events) {
  read_arguments_ = {{.name = "fd", .text = "3"}, {.name = "flags", .text = "O_RDONLY|O_CLOEXEC"}};
  write_arguments_ = {{.name = "fd", .text = "3"}, {.name = "flags", .text = "O_WRONLY|O_CREAT|O_APPEND"}};
  MakeProcesses(processes);
  MakeDescriptors();
  for (std::size_t i = 0; i < events; ++i) events_.push_back(Make(i));
}

void EventMix::MakeProcesses(std::size_t count) {
  init_.pid = 1;
  init_.name = init_.exe = "systemd";
  Describe(init_);
  for (std::size_t i = 0; i < count; ++i) {
    Process& process = processes_.emplace_back();
    process.pid = 100 + static_cast<std::int64_t>(i);
    process.name = kPrograms[i % kPrograms.size()];
    process.exe = process.executable.path = fmt::format("/usr/bin/{}", process.name);
    process.arguments = {"--config", fmt::format("/etc/{}/{}.conf", process.name, i), "--workers", "4"};
    process.cwd = "/";
    process.start_ns = kStart - 3'600'000'000'000;
    process.credentials.user_name = i % 3 == 0 ? "root" : "app";
    process.credentials.uid = i % 3 == 0 ? 0 : 1000;
    // Chains of up to four ancestors.
    process.parent = i % 4 == 0 ? &init_ : &processes_[i - 1];
    Describe(process);
    Container& container = containers_.emplace_back();
    container.id = fmt::format("{:012x}", 0x1234567890 + i);
    container.image_repository = fmt::format("registry.example/team/{}", process.name);
    container.privileged = false;
    container.pod_namespace = "shop";
  }
  shell_.pid = 99;
  shell_.name = "bash";
  shell_.exe = shell_.executable.path = "/bin/bash";
  shell_.tty = 34816;
  shell_.start_ns = kStart;
  shell_.cwd = "/";
  Describe(shell_);
  thief_ = shell_;
  thief_.name = "x1";
  thief_.exe = thief_.executable.path = "/tmp/x1";
  Describe(thief_);
}

void EventMix::MakeDescriptors() {
  for (const char* name : kFiles) {
    Descriptor& file = files_.emplace_back();
    file.kind = DescriptorKind::kFile;
    file.name = file.raw_name = name;
  }
  shadow_.kind = DescriptorKind::kFile;
  shadow_.name = shadow_.raw_name = "/etc/shadow";
  for (std::uint8_t i = 0; i < 16; ++i) {
    Descriptor& socket = sockets_.emplace_back();
    socket.kind = DescriptorKind::kIpv4;
    socket.protocol = "tcp";
    socket.connected = true;
    std::array<std::uint8_t, 16> address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, i, 1};
    SocketEnds ends;
    ends.client = policy::Address(address);
    address[15] = 2;
    ends.server = policy::Address(address);
    ends.client_port = 40'000;
    ends.server_port = i % 2 == 0 ? 5432 : 443;
    socket.ends = ends;
    socket.name = SocketName(socket);
  }
}

Event EventMix::Open(std::size_t number) {
  Event event;
  event.type = TypeOf("openat");
  event.descriptor = &files_[number % files_.size()];
  const bool writes = number % 8 == 0;
  event.open = OpenMode{.read = !writes, .write = writes};
  event.arguments = writes ? write_arguments_ : read_arguments_;
  return event;
}

// A shell with a terminal begins in a container, or an unknown program reads a file with passwords.
Event EventMix::Intrude(std::size_t number) {
  Event event = Open(1);
  event.descriptor = &shadow_;
  if (number % 2 == 0) {
    event.type = TypeOf("execve");
    event.descriptor = nullptr;
    event.open.reset();
  }
  event.process = number % 2 == 0 ? &shell_ : &thief_;
  event.container = &containers_.front();
  ++intrusions_;
  return event;
}

Event EventMix::Make(std::size_t number) {
  const std::size_t share = Spread(number);
  Event event;
  if (number % 4001 == 4000) {
    event = Intrude(number);
  } else {
    if (share < 72) {
      event = Open(number);
    } else if (share < 82) {
      event.type = TypeOf("connect");
      event.descriptor = &sockets_[number % sockets_.size()];
    } else if (share < 88) {
      event.type = TypeOf("execve");
    } else if (share < 92) {
      event.type = TypeOf("dup2");
      event.descriptor = &sockets_[number % sockets_.size()];
    } else if (share < 96) {
      event.type = TypeOf("socket");
    } else if (share < 98) {
      event.type = TypeOf("unlinkat");
    } else {
      event.type = TypeOf("sendto");
      event.descriptor = &sockets_[number % sockets_.size()];
    }
    const std::size_t process = number * 7 % processes_.size();
    event.process = &processes_[process];
    event.container = process % 2 == 0 ? &containers_[process] : &HostContainer();
  }
  event.number = number + 1;
  event.time_ns = kStart + number * 1'000;
  event.result = 3;
  event.descriptor_number = 3;
  event.host = "node-1";
  return event;
}

}  // namespace sluice::perf
