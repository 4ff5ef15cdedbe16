// Traffic of the programs of local workloads: sent, received and dropped. Each pass over the flows adds their growth
// since the last pass to the process behind each end at that moment. If that process is not known yet, the growth
// waits; it is never guessed. Traffic from before the first pass was counted by an earlier agent.
//
//   traffic.BeginPass(workloads);
//   for (const auto& record : records) traffic.Note(record);
//   traffic.EndPass();                  // not after a failed pass: the next pass continues it
//
// For one thread, except Rows. Holds about 150 bytes for each flow that has a known process.
#pragma once

#include <functional>
#include <unordered_map>

#include "kernel/datapath/flow_record.h"
#include "telemetry/flow/process_series.h"

namespace sluice::telemetry {

// The binary of a process instance; empty: unknown or forgotten. From any thread.
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
    std::uint64_t denied;  // 0 or 1; 64 bits, so that there is no padding
  };
  struct FlowIdHash {
    std::size_t operator()(const FlowId& id) const;
  };
  struct FlowIdEqual {
    bool operator()(const FlowId& a, const FlowId& b) const;
  };
  // The part of a flow that is already counted for one of its ends: bytes, or packets of a denied flow.
  struct Counted {
    std::uint64_t egress = 0;
    std::uint64_t ingress = 0;
    bool flow = false;
  };
  struct Flow {
    Counted initiator;
    Counted responder;
    std::uint64_t pass = 0;  // the last pass that saw it
  };

  void NoteEnd(const datapath::FlowRecord& record, bool initiator, Flow* flow);
  ProcessCounters* CountersOf(const sl_flow_end& end, sl_process_id process);
  const std::string& BinaryOf(sl_process_id process);

  ProcessSeries series_;
  const BinarySource binary_;
  LocalWorkloads workloads_;
  std::unordered_map<FlowId, Flow, FlowIdHash, FlowIdEqual> flows_;
  std::map<ProcessSeries::Program, ProcessCounters> growth_;
  std::unordered_map<sl_process_id, std::string> binaries_;  // cache for this pass
  std::uint64_t pass_ = 0;
  bool begun_ = false;  // the first pass is finished
};

}  // namespace sluice::telemetry
