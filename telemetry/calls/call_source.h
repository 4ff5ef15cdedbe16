// Records of the sensors of system calls -> events of rules, each with its process, its ancestors, its container and
// the descriptor that the call is about. One thread:
//
//   CallSource source({.node = node, .container = ..., .catch_up = ...}, &store, &tree, on_event);
//   store.Drain([&](const void* record, std::size_t size) { source.Consume(record, size); });
//   source.Tick();  // after each Drain, and several times a second: passes on what is left
//
// Events of one thread come in the order of its calls, and those of a process once the process sensors' record of it is
// read. Only `counters` may be called from other threads. Memory is bounded: see Options.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bpf/abi/call.h"
#include "kernel/calls/call_store.h"
#include "policy/resource/model.h"
#include "policy/rules/event.h"
#include "telemetry/event/clock.h"
#include "telemetry/process/process_tree.h"

namespace sluice::telemetry {

// Whose an event is.
struct CallOwner {
  // Null: not known yet; policy::rules::HostContainer() of processes in none.
  std::shared_ptr<const policy::rules::Container> container;
  // All that will be known of the container is known: the kernel may decide by it.
  bool final = false;
  policy::ObjectName workload;  // empty: the host, or not known
};

class CallSource {
 public:
  // `event` and all that it points to are valid during the call only. `instance` null: the process is not known, and
  // event.process has what the record says.
  using OnEvent =
      std::function<void(const policy::rules::Event& event, const ProcessInstance* instance, const CallOwner& owner)>;

  struct Options {
    std::string node;
    std::function<CallOwner(const ProcessInstance&)> owner;  // empty: by the cgroup's path alone
    std::function<void()> catch_up;                          // ProcessSensor::CatchUp; may be empty
    // Names of an address that are known from DNS answers; may be empty.
    std::function<std::vector<std::string>(const policy::Address&)> names;
    // The path of a cgroup that process `pid` is in, by the cgroup's id; nothing: not known. May be empty.
    std::function<std::optional<std::string>(std::uint32_t pid, std::uint64_t cgroup)> cgroup_path;
    std::size_t max_processes = 16384;  // descriptions kept, about 2 KiB each
    std::size_t max_batch = 512;        // records that wait for the next Tick
    Clock clock = ReadBootClock;
  };
  struct Counters {  // since the start
    std::uint64_t events = 0;
    std::uint64_t malformed = 0;          // records that could not be decoded
    std::uint64_t unknown_processes = 0;  // events whose process was not in the tree
    std::uint64_t texts_lost = 0;         // events with a text that could not be read
    std::uint64_t texts_cut = 0;          // events with a text that is longer than its limit
  };
  // What rules may have missed.
  struct Loss {
    std::optional<policy::rules::EventType> type;  // absent: not known any more, it may be any
    policy::ObjectName workload;                   // empty: the host, or not known
    std::uint64_t count = 0;
  };

  // All must outlive the source. `store` may be null (recorded bytes, tests).
  CallSource(Options options, calls::CallStore* store, const ProcessTree* tree, OnEvent on_event);
  ~CallSource();

  void Consume(const void* record, std::size_t size);
  void Tick();
  // Losses since the last call, by type and workload.
  std::vector<Loss> TakeLosses();

  Counters counters() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::telemetry
