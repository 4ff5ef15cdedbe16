#include "tests/probes/sensor_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

std::uint32_t PidOf(const v1::Event& event) {
  switch (event.event_case()) {
    case v1::Event::kExec:
      return event.exec().process().pid();
    case v1::Event::kFork:
      return event.fork().process().pid();
    case v1::Event::kExit:
      return event.exit().process().pid();
    default:
      return 0;
  }
}

auto Of(pid_t pid, v1::Event::EventCase kind) {
  return [pid, kind](const v1::Event& event) {
    return event.event_case() == kind && PidOf(event) == static_cast<std::uint32_t>(pid);
  };
}

}  // namespace

StatusOr<std::unique_ptr<SensorFixture>> SensorFixture::Create(telemetry::ProcessSensor::Options options) {
  auto fixture = std::make_unique<SensorFixture>();
  options.node = "node-1";
  SL_ASSIGN_OR_RETURN(fixture->follower_, fixture->hub_.Subscribe({}));
  SL_ASSIGN_OR_RETURN(fixture->sensor_, telemetry::ProcessSensor::Start(std::move(options), &fixture->hub_));
  return fixture;
}

StatusOr<v1::Event> SensorFixture::WaitFor(const std::function<bool(const v1::Event&)>& wanted, int seconds) {
  for (auto event = waiting_.begin(); event != waiting_.end(); ++event) {
    if (!wanted(*event)) continue;
    v1::Event found = *event;
    waiting_.erase(event);
    return found;
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (std::chrono::steady_clock::now() < deadline) {
    const telemetry::EventPtr event = follower_->Next(100ms);
    if (event == nullptr) continue;
    if (wanted(*event)) return *event;
    waiting_.push_back(*event);
  }
  return MakeError(absl::StatusCode::kDeadlineExceeded, "the event did not come within {} s; {} others did", seconds,
                   waiting_.size());
}

StatusOr<v1::Exec> SensorFixture::WaitForExec(pid_t pid) {
  SL_ASSIGN_OR_RETURN(const v1::Event event, WaitFor(Of(pid, v1::Event::kExec)));
  return event.exec();
}

StatusOr<v1::Fork> SensorFixture::WaitForFork(pid_t pid) {
  SL_ASSIGN_OR_RETURN(const v1::Event event, WaitFor(Of(pid, v1::Event::kFork)));
  return event.fork();
}

StatusOr<v1::Exit> SensorFixture::WaitForExit(pid_t pid) {
  SL_ASSIGN_OR_RETURN(const v1::Event event, WaitFor(Of(pid, v1::Event::kExit)));
  return event.exit();
}

StatusOr<std::vector<v1::Event>> SensorFixture::Settle() {
  const pid_t last = Fork([] {});
  Reap(last);
  SL_RETURN_IF_ERROR(WaitForExit(last).status());
  return std::exchange(waiting_, {});
}

pid_t Fork(const std::function<void()>& body) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  body();
  _exit(0);
}

int Reap(pid_t pid) {
  int status = -1;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

void Exec(const std::string& file, const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execv(file.c_str(), argv.data());
  _exit(126);
}

pid_t Spawn(const std::string& file, const std::vector<std::string>& arguments) {
  return Fork([&] { Exec(file, arguments); });
}

Gate::Gate() {
  if (pipe2(ends_, O_CLOEXEC) != 0) std::abort();
}

Gate::~Gate() {
  Open();
  close(ends_[0]);
}

void Gate::Wait() const {
  char byte;
  close(ends_[1]);
  while (read(ends_[0], &byte, 1) < 0 && errno == EINTR) {
  }
}

void Gate::Open() {
  if (ends_[1] >= 0) close(std::exchange(ends_[1], -1));
}

Arrival::Arrival() {
  if (pipe2(ends_, O_CLOEXEC) != 0) std::abort();
}

Arrival::~Arrival() {
  close(ends_[0]);
  if (ends_[1] >= 0) close(ends_[1]);
}

bool Arrival::Wait() {
  if (ends_[1] >= 0) close(std::exchange(ends_[1], -1));
  char byte;
  ssize_t got;
  do {
    got = read(ends_[0], &byte, 1);
  } while (got < 0 && errno == EINTR);
  return got == 1;
}

TempDir::TempDir() {
  std::string pattern = "/tmp/sluice-probes-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) std::abort();
  chmod(pattern.c_str(), 0755);
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::Copy(const std::string& program, const std::string& name) const {
  std::filesystem::copy_file(program, path_ + "/" + name);
  return path_ + "/" + name;
}

std::string TempDir::Write(const std::string& name, const std::string& text, unsigned mode) const {
  const std::string path = path_ + "/" + name;
  std::ofstream(path) << text;
  chmod(path.c_str(), mode);
  return path;
}

std::string MissingForBackEnd(bpf::ProcessBackEnd back_end) {
  if (back_end != bpf::ProcessBackEnd::kKprobe) return {};
  if (std::filesystem::exists("/sys/bus/event_source/devices/kprobe/type")) return {};
  return "this kernel has no kprobes (CONFIG_KPROBE_EVENTS)";
}

}  // namespace sluice::test
