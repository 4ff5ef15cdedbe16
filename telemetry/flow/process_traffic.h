// What programs of local workloads send, are sent, and have dropped: the growth of all flows between two passes over
// them, each end for the process that is behind it at that moment. Growth of an end whose process is not known yet
// waits until it is; it is never guessed. What flows carried before the first pass was counted before, by another
// agent.
//
//   traffic.BeginPass(workloads);
//   for (const auto& record : records) traffic.Note(record);
//   traffic.EndPass();                  // unless the pass failed: it is then continued by the next one
//
// One thread, but for Rows. Holds about 150 bytes for each flow that has a known process.
#pragma once

#include <functional>
#include <unordered_map>

#include "kernel/datapath/flow_record.h"
#include "telemetry/flow/process_series.h"

namespace sluice::telemetry {

// The binary of a process instance; empty: not known, or not any more. From any thread.
using BinarySource = std::function<std::string(sl_process_id)>;

class ProcessTraffic {
 public:
  ProcessTraffic(std::size_t max_programs, BinarySource binary) : series_(max_programs), binary_(std::move(binary)) {}

  void BeginPass(LocalWorkloads workloads);
  void Note(const datapath::FlowRecord& record);
  void EndPass();

  std::vector<ProcessSeries::Row> Rows() const { return series_.Rows(); }

 private:
  struct FlowId {
    sl_flow_key key;
    std::uint64_t record;
    std::uint64_t denied;  // 0 or 1; a word, so that nothing of it is padding
  };
  struct FlowIdHash {
    std::size_t operator()(const FlowId& id) const;
  };
  struct FlowIdEqual {
    bool operator()(const FlowId& a, const FlowId& b) const;
  };
  // What was counted of a flow for one of its ends.
  struct Counted {
    std::uint64_t egress = 0;  // from this end: bytes, of a denied flow packets; likewise:
    std::uint64_t ingress = 0;
    bool flow = false;
  };
  struct Flow {
    Counted initiator;
    Counted responder;
    std::uint64_t pass = 0;  // the last that it was in
  };

  void NoteEnd(const datapath::FlowRecord& record, bool initiator, Flow* flow);
  ProcessCounters* CountersOf(const sl_flow_end& end, sl_process_id process);
  const std::string& BinaryOf(sl_process_id process);

  ProcessSeries series_;
  const BinarySource binary_;
  LocalWorkloads workloads_;
  std::unordered_map<FlowId, Flow, FlowIdHash, FlowIdEqual> flows_;
  std::map<ProcessSeries::Program, ProcessCounters> growth_;
  std::unordered_map<sl_process_id, std::string> binaries_;  // of this pass
  std::uint64_t pass_ = 0;
  bool begun_ = false;  // a pass was finished
};

}  // namespace sluice::telemetry
