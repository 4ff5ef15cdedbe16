// The real sensors with a follower, and children controlled by the test.
//
//   SensorFixture& fixture = ...;
//   const pid_t child = Fork([] { execl("/bin/true", "true", nullptr); });
//   const auto exec = fixture.WaitForExec(child);
//   ASSERT_TRUE(exec.ok()) << exec.status();
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "telemetry/process/process_sensor.h"

namespace sluice::test {

class SensorFixture {
 public:
  static StatusOr<std::unique_ptr<SensorFixture>> Create(telemetry::ProcessSensor::Options options);

  telemetry::ProcessSensor& sensor() { return *sensor_; }
  const telemetry::ProcessTree& tree() { return sensor_->tree(); }

  // The next event that no earlier call returned, and for which `wanted` is true. DeadlineExceeded.
  StatusOr<v1::Event> WaitFor(const std::function<bool(const v1::Event&)>& wanted, int seconds = 10);
  StatusOr<v1::Exec> WaitForExec(pid_t pid);
  StatusOr<v1::Fork> WaitForFork(pid_t pid);
  StatusOr<v1::Exit> WaitForExit(pid_t pid);
  // Waits until the tree and the follower have every event before this call; returns those that no earlier call
  // returned.
  StatusOr<std::vector<v1::Event>> Settle();

 private:
  telemetry::EventHub hub_{{.node = "node-1", .queue_capacity = 1 << 20, .queue_bytes = SIZE_MAX, .max_subscribers = 4},
                           [](bool) {}};
  std::unique_ptr<telemetry::Subscription> follower_;
  std::vector<v1::Event> waiting_;
  std::unique_ptr<telemetry::ProcessSensor> sensor_;
};

// A child that runs `body`, and exits with 0 if `body` returns.
pid_t Fork(const std::function<void()>& body);
// Its status from wait(2).
int Reap(pid_t pid);
// Fork and execv; argv[0] first.
pid_t Spawn(const std::string& file, const std::vector<std::string>& arguments);
// execv in the child itself.
void Exec(const std::string& file, const std::vector<std::string>& arguments);

// Blocks children until it is opened, by a pipe.
class Gate {
 public:
  Gate();
  ~Gate();
  void Wait() const;  // in the child
  void Open();

 private:
  int ends_[2] = {-1, -1};
};

// One child reports by a byte that it has reached a point.
class Arrival {
 public:
  Arrival();
  ~Arrival();
  int fd() const { return ends_[1]; }  // the child writes to it; close-on-exec
  // False: the child ended without arriving. Call it once the child runs, because the child then holds the other end.
  bool Wait();

 private:
  int ends_[2] = {-1, -1};
};

// A directory that its destructor removes.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  const std::string& path() const { return path_; }
  std::string Copy(const std::string& program, const std::string& name) const;
  std::string Write(const std::string& name, const std::string& text, unsigned mode) const;

 private:
  std::string path_;
};

// Empty, or the reason why the back end cannot be used here.
std::string MissingForBackEnd(bpf::ProcessBackEnd back_end);

}  // namespace sluice::test
