// The real sensors with a follower, and children that do as a test says.
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

  // The next event, among those that nobody asked for yet, for which `wanted` holds. DeadlineExceeded.
  StatusOr<v1::Event> WaitFor(const std::function<bool(const v1::Event&)>& wanted, int seconds = 10);
  StatusOr<v1::Exec> WaitForExec(pid_t pid);
  StatusOr<v1::Fork> WaitForFork(pid_t pid);
  StatusOr<v1::Exit> WaitForExit(pid_t pid);
  // Until all that happened before this call is in the tree, and its events have come: returns those not asked for yet.
  StatusOr<std::vector<v1::Event>> Settle();

 private:
  telemetry::EventHub hub_{{.node = "node-1", .queue_capacity = 1 << 20, .queue_bytes = SIZE_MAX, .max_subscribers = 4},
                           [](bool) {}};
  std::unique_ptr<telemetry::Subscription> follower_;
  std::vector<v1::Event> waiting_;
  std::unique_ptr<telemetry::ProcessSensor> sensor_;
};

// A child that runs `body` and exits with 0 should that return.
pid_t Fork(const std::function<void()>& body);
// Its status as wait(2) gives it.
int Reap(pid_t pid);
// Fork and execv; argv[0] first.
pid_t Spawn(const std::string& file, const std::vector<std::string>& arguments);
// execv in the child itself.
void Exec(const std::string& file, const std::vector<std::string>& arguments);

// Holds children back until it is opened, by a pipe.
class Gate {
 public:
  Gate();
  ~Gate();
  void Wait() const;  // in the child
  void Open();

 private:
  int ends_[2] = {-1, -1};
};

// One child says that it has come so far, by a byte.
class Arrival {
 public:
  Arrival();
  ~Arrival();
  int fd() const { return ends_[1]; }  // for the child to write to; it is not left open across an exec
  // False: the child has ended without. To be called once the child is there, which holds the other end then.
  bool Wait();

 private:
  int ends_[2] = {-1, -1};
};

// A directory that goes with it.
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

// Empty, or why the back end cannot be here.
std::string MissingForBackEnd(bpf::ProcessBackEnd back_end);

}  // namespace sluice::test
