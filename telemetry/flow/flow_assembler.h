// Flows as the kernel knows them -> sluice.v1.Flow with names. Unknown fields are left out, never invented.
//
// FlowAssembler is thread-safe and must outlive its contexts. Capture gives an immutable view of the moment for a batch
// of flows:
//   const FlowContext context = assembler.Capture();
//   for (const auto& record : records) Use(context.Assemble(FromRecord(record)));
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "api/sluice.pb.h"
#include "kernel/datapath/path_reader.h"
#include "kernel/datapath/service_tables.h"
#include "telemetry/event/clock.h"
#include "telemetry/flow/process_series.h"
#include "telemetry/flow/workload_index.h"

namespace sluice::telemetry {

// What telemetry needs from the policy side. Both may be called from any thread; both may return null.
struct PolicySource {
  std::function<std::shared_ptr<const policy::CompiledPolicy>()> compiled;
  std::function<std::shared_ptr<const policy::Decision>(std::uint32_t number)> decision;
};

// Finds a process instance by its id. False: unknown or forgotten, and `out` is unchanged. From any thread.
using ProcessSource = std::function<bool(sl_process_id id, v1::Process* out)>;

// One flow at one moment.
struct FlowReport {
  sl_flow_key key{};
  sl_flow_entry entry{};
  v1::Flow::Kind kind = v1::Flow::KIND_UNSPECIFIED;
  std::uint64_t time_ns = 0;  // CLOCK_MONOTONIC
  std::uint32_t ifindex = 0;  // 0: unknown
  bool reply = false;         // the reported packet went from responder to initiator
};

FlowReport FromEvent(const sl_flow_event& event);
FlowReport FromRecord(const datapath::FlowRecord& record);       // a live flow: NEW or UPDATE
FlowReport FromEndedRecord(const datapath::FlowRecord& record);  // END

// The local workloads of a policy, by endpoint number; none if it is null.
std::map<std::uint32_t, policy::ObjectName> EndpointNames(const policy::CompiledPolicy* policy);

class FlowContext {
 public:
  v1::Flow Assemble(const FlowReport& report) const;
  std::uint64_t now_ns() const { return now_ns_; }                          // CLOCK_MONOTONIC, when it was captured
  google::protobuf::Timestamp time() const { return clock_->At(now_ns_); }  // the same as wall time
  google::protobuf::Timestamp TimeAt(std::uint64_t kernel_ns) const { return clock_->At(kernel_ns); }
  LocalWorkloads LocalNames() const;                                  // local workloads that exist now
  std::map<std::uint32_t, policy::ObjectName> EndpointNames() const;  // the same by endpoint number
  // The workload at an end of a flow, without building messages. Null: no known workload.
  const policy::ObjectName* WorkloadAt(const sl_flow_end& end) const;
  // "shop/db-0", "node", or the address.
  std::string NameOfEnd(const datapath::FlowRecord& record, bool initiator) const;
  // The policies and rules behind a flow's verdict.
  void AddPolicies(const sl_flow_entry& entry, google::protobuf::RepeatedPtrField<v1::PolicyRef>* policies) const;
  const policy::CompiledPolicy* compiled() const { return index_->compiled(); }  // null: no policy yet

 private:
  friend class FlowAssembler;
  v1::Peer AssemblePeer(const sl_flow_end& end, sl_process_id process) const;
  v1::Peer AssembleSource(const sl_flow_entry& entry) const;
  void NameProcess(sl_process_id id, v1::Peer* peer) const;
  void NameService(std::uint32_t number, v1::Flow* flow) const;

  std::string node_;
  std::uint64_t now_ns_ = 0;
  WallClock* clock_ = nullptr;
  std::map<std::uint32_t, std::string> interfaces_;
  std::shared_ptr<const WorkloadIndex> index_;
  std::function<std::shared_ptr<const policy::Decision>(std::uint32_t)> decision_;
  ProcessSource process_;
  const datapath::ServiceNames* services_ = nullptr;
};

class FlowAssembler {
 public:
  // `datapath` must outlive the assembler.
  FlowAssembler(std::string node, const datapath::PathReader* datapath, PolicySource policy, Clock clock = ReadClocks);

  // From now on, peers have a process if the kernel knows it. `source` must stay valid as long as the assembler.
  void NameProcesses(ProcessSource source);
  // From now on, flows have the Service that the initiator used. `names` must outlive the assembler; null: none.
  void NameServices(const datapath::ServiceNames* names);

  FlowContext Capture();
  // Call several times a second, so that times are right after the wall clock is set.
  void FollowClock() { clock_.Now(); }
  std::uint64_t Now() { return clock_.Now(); }  // CLOCK_MONOTONIC
  const std::string& node() const { return node_; }

 private:
  const std::string node_;
  const datapath::PathReader* const datapath_;
  const PolicySource policy_;
  WallClock clock_;
  std::mutex mutex_;
  WorkloadIndexer indexer_;                           // by mutex_
  ProcessSource process_;                             // by mutex_; empty: no process is known
  const datapath::ServiceNames* services_ = nullptr;  // by mutex_
};

}  // namespace sluice::telemetry
