// The sensors of system calls in this machine's kernel, from rules to events, beside the real process sensors.
//
//   auto fixture = CallFixture::Create({});
//   (*fixture)->Require({"evt.type = openat and fd.name startswith /tmp"});
//   const pid_t child = Fork([] { ... });                   // tests/probes/sensor_fixture.h
//   (*fixture)->Lines(child, "%evt.type %evt.res %fd.name");   // a line for each of its events
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernel/calls/call_store.h"
#include "telemetry/calls/call_source.h"
#include "tests/probes/sensor_fixture.h"
#include "tests/support/environment.h"

namespace sluice::test {

// An event that rules have seen: its fields as texts.
struct SeenCall {
  std::int64_t pid = 0;
  std::int64_t tid = 0;
  bool process_known = false;
  policy::ObjectName workload;
  std::map<std::string, std::string> fields;  // by their name, of CallFixture::fields
};

class CallFixture {
 public:
  struct Options {
    std::uint32_t ring_bytes = 1U << 20;
    std::function<telemetry::CallOwner(const telemetry::ProcessInstance&)> owner;
    std::size_t max_batch = 512;
  };

  static StatusOr<std::unique_ptr<CallFixture>> Create(Options options);
  ~CallFixture();

  Status Require(const std::vector<std::string>& conditions);
  // Passes on what there is. All that happened before is then in `seen`.
  void Drain();
  // Values of these fields are kept of each event that follows.
  void Keep(const std::vector<std::string>& fields) { fields_ = fields; }

  const std::vector<SeenCall>& seen() const { return seen_; }
  void Forget() { seen_.clear(); }
  // The events of a process: fields with blanks between, in order.
  std::vector<std::string> Lines(pid_t pid, const std::vector<std::string>& fields);

  calls::CallStore& store() { return *store_; }
  telemetry::CallSource& source() { return *source_; }
  SensorFixture& sensors() { return *sensors_; }

 private:
  CallFixture() = default;
  void See(const policy::rules::Event& event, const telemetry::ProcessInstance* instance,
           const telemetry::CallOwner& owner);

  std::unique_ptr<SensorFixture> sensors_;
  std::unique_ptr<calls::CallStore> store_;
  std::unique_ptr<telemetry::CallSource> source_;
  std::vector<std::string> fields_;
  std::vector<SeenCall> seen_;
};

// Memory that children share with the test.
template <typename Value>
class Shared {
 public:
  Shared()
      : value_(static_cast<Value*>(
            mmap(nullptr, sizeof(Value), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}
  ~Shared() { munmap(value_, sizeof(Value)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  Value* operator->() const { return value_; }

 private:
  Value* value_;
};

// A test with the sensors, and room for what its threads and children do at once.
class CallTest : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_BPF();
    auto made = CallFixture::Create({.ring_bytes = 4U << 20});
    ASSERT_TRUE(made.ok()) << made.status();
    fixture_ = *std::move(made);
  }

  std::unique_ptr<CallFixture> fixture_;
};

// For several children, which a Gate is not: each would hold it shut for the others.
class Signal {
 public:
  void Raise() { state_->raised = true; }
  void Wait() const {  // in either process
    while (!state_->raised) usleep(1000);
  }

 private:
  struct State {
    std::atomic<bool> raised;
  };
  Shared<State> state_;
};

// Rules that are on, of these conditions; a failure of the test if one is wrong.
std::shared_ptr<const policy::rules::Ruleset> RulesOf(const std::vector<std::string>& conditions);

}  // namespace sluice::test
