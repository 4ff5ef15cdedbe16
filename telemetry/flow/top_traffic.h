// The answer to `top`: traffic and drops of local workloads, their programs and their peers. A sum covers live flows
// and, while clients ask regularly, flows that ended since: so it never decreases. Thread-safe.
//
// A row is a workload, or one of its programs or peers. The number of rows is bounded, and no workload has more than an
// eighth of them; everything else is in the workload's row "other".
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <vector>

#include "telemetry/flow/flow_assembler.h"
#include "telemetry/flow/process_traffic.h"

namespace sluice::telemetry {

class TopTraffic {
 public:
  struct Options {
    std::size_t max_rows = 8192;       // for programs; the same for peers
    std::chrono::seconds forget{600};  // a row without flows; after this time without a request, everything
  };

  explicit TopTraffic(Options options) : options_(options) {}

  // Call before the others; `binary` must stay valid. Without it, programs are not known.
  void NameProcesses(BinarySource binary) { binary_ = std::move(binary); }

  // There was a request a short while ago, so ended flows count.
  bool IsAsked() const;
  // Adds a flow that ended with this record.
  void NoteEnded(const FlowContext& context, const datapath::FlowRecord& record);

  // One pass over all flows. Error: the flow table could not be read.
  StatusOr<v1::TopReply> Read(datapath::PathReader* datapath, const FlowContext& context,
                              const v1::TopRequest& request);

 private:
  using By = v1::TopRequest::By;
  using Clock = std::chrono::steady_clock;
  struct Amount {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    Amount& operator+=(const Amount& other);
  };
  struct Sum {
    Amount sent;
    Amount received;
    std::uint64_t dropped_packets = 0;
    std::uint64_t flows = 0;
    Sum& operator+=(const Sum& other);
  };
  struct Key {
    policy::ObjectName workload;
    By by = v1::TopRequest::WORKLOAD;
    std::string part;  // the program's path, or the peer's name; empty for the workload itself
    auto operator<=>(const Key&) const = default;
  };
  struct Row {
    Sum live;
    Sum ended;
    Clock::time_point seen;
  };
  struct Part {
    Key key;
    Sum sum;
  };
  using Binaries = std::unordered_map<sl_process_id, std::string>;

  std::vector<Part> PartsOf(const FlowContext& context, const datapath::FlowRecord& record, By by,
                            Binaries* binaries) const;
  Row& RowOf(const Key& key);
  void AddEnded();
  void Forget(Clock::time_point now);
  v1::TopReply MakeReply(const FlowContext& context, const v1::TopRequest& request) const;

  const Options options_;
  BinarySource binary_;
  std::atomic<Clock::rep> asked_at_ = 0;  // 0: never
  std::mutex ended_mutex_;
  std::vector<Part> ended_;  // by ended_mutex_; not in rows_ yet
  std::mutex mutex_;
  std::map<Key, Row> rows_;                                            // by mutex_
  std::map<std::pair<By, policy::ObjectName>, std::size_t> share_of_;  // by mutex_; without "other"
  std::map<By, std::size_t> taken_;                                    // by mutex_; without "other"
};

}  // namespace sluice::telemetry
