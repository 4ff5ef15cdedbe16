// An event with all that it points to, for tests: a shell in a container that opens a file.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "policy/rules/bind.h"
#include "policy/rules/evaluate.h"
#include "policy/rules/event.h"
#include "policy/rules/expand.h"

namespace sluice::policy::rules {

struct Scene {
  Process init, server, shell;
  Container container;
  Descriptor descriptor;
  std::vector<Argument> arguments;
  Event event;

  Scene() {
    init.pid = 1;
    init.name = init.exe = "systemd";
    server.pid = 100;
    server.name = "nginx";
    server.exe = "/usr/sbin/nginx";
    server.executable.path = "/usr/sbin/nginx";
    server.parent = &init;
    server.start_ns = 1'000;
    shell.pid = 200;
    shell.vpid = 20;
    shell.sid = 200;
    shell.name = "bash";
    shell.exe = "/bin/bash";
    shell.executable.path = "/usr/bin/bash";
    shell.arguments = {"-c", "cat /etc/shadow"};
    shell.environment = {"HOME=/root", "TERM=xterm"};
    shell.cwd = "/tmp/";
    shell.tty = 34816;
    shell.start_ns = 5'000;
    shell.parent = &server;
    shell.credentials.user_name = "root";
    shell.cap_effective = 1U << 21U | 1U << 1U;
    for (Process* const process : {&init, &server, &shell}) Describe(*process);
    container.id = "0123456789ab";
    container.image_repository = "docker.io/library/nginx";
    container.privileged = true;
    container.mounts = {{.source = "/proc/1", .destination = "/host/proc"}, {.source = "/etc", .destination = "/e"}};
    descriptor.kind = DescriptorKind::kFile;
    descriptor.name = "/etc/shadow";
    descriptor.raw_name = "../../etc//shadow";
    arguments = {{.name = "fd", .text = "3(<f>/etc/shadow)"}, {.name = "flags", .text = "O_RDONLY|O_CLOEXEC"}};
    event.type = *FindEventType("openat");
    event.number = 7;
    event.time_ns = 1'764'582'010'123'456'789;
    event.result = 3;
    event.process = &shell;
    event.container = &container;
    event.descriptor = &descriptor;
    event.descriptor_number = 3;
    event.arguments = arguments;
    event.open = OpenMode{.read = true};
    event.host = "node-1";
  }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  // The descriptor is a connection to a server.
  void Connect(const std::string& client, const std::string& server_address, std::uint16_t port) {
    event.type = *FindEventType("connect");
    descriptor = {};
    const Address to = *Address::Parse(server_address);
    descriptor.kind = to.is_v4() ? DescriptorKind::kIpv4 : DescriptorKind::kIpv6;
    descriptor.protocol = "tcp";
    descriptor.ends =
        SocketEnds{.client = *Address::Parse(client), .server = to, .client_port = 40'112, .server_port = port};
    descriptor.name = SocketName(descriptor);
  }
};

// A condition that must be right.
inline BoundConditionPtr BoundOf(const std::string& text) {
  auto parsed = ParseCondition(text);
  if (const auto* error = std::get_if<ConditionError>(&parsed)) {
    ADD_FAILURE() << text << ": " << error->what;
    return nullptr;
  }
  const BindResult bound = Bind(std::get<ConditionPtr>(parsed));
  if (bound.error) ADD_FAILURE() << text << ": " << bound.error->what;
  return bound.condition;
}

// What is wrong with it, "" if nothing is.
inline std::string ProblemOf(const std::string& text) {
  auto parsed = ParseCondition(text);
  if (const auto* error = std::get_if<ConditionError>(&parsed)) return error->what;
  const BindResult bound = Bind(std::get<ConditionPtr>(parsed));
  return bound.error ? bound.error->what : "";
}

inline bool IsTrue(const std::string& text, const Event& event) {
  const BoundConditionPtr condition = BoundOf(text);
  return condition != nullptr && Evaluate(*condition, event);
}

}  // namespace sluice::policy::rules
