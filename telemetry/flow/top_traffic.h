// What local workloads, their programs and their peers sent, received and were denied: the answer to `top`. A sum
// covers the flows that live and, while somebody asks, those that ended since: it only grows. Thread-safe.
//
// A row is a workload, or one of its programs or peers. Their number is bounded, and no workload has more than an
// eighth of it; what has no row of its own is in the workload's row "other".
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
    std::size_t max_rows = 8192;       // of programs, and as many of peers
    std::chrono::seconds forget{600};  // a row without flows; and everything, when nobody asks for so long
  };

  explicit TopTraffic(Options options) : options_(options) {}

  // Before the first call of the others; `binary` outlives this. Without it no program is known.
  void NameProcesses(BinarySource binary) { binary_ = std::move(binary); }

  // Somebody did a short while ago: those that end count.
  bool IsAsked() const;
  // A flow has ended with this record.
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
    std::string part;  // path of the program, or name of the peer; of the workload itself empty
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
  std::map<std::pair<By, policy::ObjectName>, std::size_t> share_of_;  // by mutex_; rows but "other"
  std::map<By, std::size_t> taken_;                                    // by mutex_; likewise
};

}  // namespace sluice::telemetry
