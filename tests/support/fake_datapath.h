// A packet path without a kernel: records calls, returns what a test put in, and fails where a test says so.
// Thread-safe.
//   FakeDatapath datapath;
//   datapath.AddFlow(record);
//   datapath.FailNext("Commit", InvalidError("map peers is full"));
//   EXPECT_THAT(datapath.calls(), ElementsAre("AttachPod veth0", "Commit"));
#pragma once

#include <deque>
#include <mutex>

#include "kernel/datapath/enforcer.h"
#include "kernel/datapath/path_reader.h"

namespace sluice::test {

class FakeDatapath : public datapath::Enforcer, public datapath::PathReader {
 public:
  // ---- for tests ----

  // The next call of `method` (its name in Enforcer or PathReader) returns `error` and changes nothing.
  void FailNext(const std::string& method, Status error);
  // The requested changes, also refused ones, oldest first: "Commit", "AttachPod NAME", "DetachPod IFINDEX",
  // "ResetEndpoint NUMBER", "Quarantine NUMBER", "Release NUMBER"
  std::vector<std::string> calls() const;
  void ClearCalls();

  // Each Commit calls this first, without a lock; a test can act or wait in it.
  void WhileCommitting(std::function<void()> run);

  policy::Tables tables() const;                                 // in force
  std::map<std::uint32_t, datapath::PodInterface> pods() const;  // attached, by ifindex
  std::set<datapath::PodNamespace> namespaces() const {
    const std::lock_guard lock(mutex_);
    return namespaces_;
  }
  void SetLimits(const policy::Limits& limits);
  void Reset();  // like a boot: nothing is in force or attached
  // A program left by an earlier process, or attached by the agent at its start.
  void AddAttached(const datapath::AttachedProgram& program);

  void AddFlow(const datapath::FlowRecord& flow);
  void AddEvent(const sl_flow_event& event);  // for the next PollEvents
  std::size_t waiting_events() const;
  void SetCounters(const datapath::Counters& counters);
  void SetLostEvents(std::map<std::uint32_t, std::uint64_t> lost);
  void SetMaps(std::vector<datapath::MapUsage> maps);
  void SetProgramRuns(std::vector<datapath::ProgramRuns> runs);
  void SetIntegrity(const datapath::Integrity& integrity);
  void SetQuarantineAllow(const std::vector<policy::Prefix>& peers);  // like the agent's configuration

  // ---- Enforcer ----
  Status Commit(const policy::Tables& tables) override;
  std::uint64_t generation() const override;
  policy::Limits limits() const override;
  std::map<std::uint32_t, std::uint32_t> EndpointsInForce() const override;
  Status AttachPod(const datapath::PodInterface& pod) override { return Attach(pod, "tcx"); }
  Status AttachPodAtOnce(const datapath::PodInterface& pod) override { return Attach(pod, "clsact"); }
  Status DetachPod(std::uint32_t ifindex) override;
  std::vector<datapath::AttachedProgram> Attached() const override;
  Status SetNamespaces(const std::set<datapath::PodNamespace>& namespaces) override {
    const std::lock_guard lock(mutex_);
    namespaces_ = namespaces;
    return OkStatus();
  }
  Status ResetEndpoint(std::uint32_t endpoint) override;
  Status SetQuarantine(std::uint32_t endpoint, bool on) override;
  StatusOr<datapath::QuarantineState> ReadQuarantine() override;

  // ---- PathReader ----
  Status ForEachFlow(const std::function<void(const datapath::FlowRecord&)>& visit) override;
  StatusOr<std::vector<datapath::FlowRecord>> ForgetFlows(const std::vector<datapath::FlowRecord>& flows) override;
  StatusOr<std::optional<datapath::FlowRecord>> FindFlow(const sl_flow_key& key, std::uint64_t id) override;
  StatusOr<datapath::Counters> ReadCounters() override;
  StatusOr<datapath::EventCounters> ReadEventCounters() override;
  StatusOr<std::map<std::uint32_t, std::uint64_t>> ReadLostEvents() override;
  StatusOr<std::vector<datapath::MapUsage>> Maps() override;
  StatusOr<std::vector<datapath::ProgramRuns>> ReadProgramRuns() override;
  datapath::Integrity integrity() const override;
  StatusOr<int> PollEvents(const std::function<void(const sl_flow_event&)>& consume) override;

 private:
  Status Attach(const datapath::PodInterface& pod, const char* mode);
  Status Fail(const std::string& method);  // under mutex_; returns the error set by FailNext, once

  mutable std::mutex mutex_;
  std::map<std::string, std::deque<Status>> failures_;
  std::vector<std::string> calls_;
  std::function<void()> while_committing_;
  policy::Tables tables_;
  policy::Limits limits_;
  std::uint64_t generation_ = 0;
  std::map<std::uint32_t, datapath::PodInterface> pods_;
  std::set<datapath::PodNamespace> namespaces_;
  std::vector<datapath::AttachedProgram> attached_;
  std::vector<datapath::FlowRecord> flows_;
  std::deque<sl_flow_event> events_;
  datapath::Counters counters_;
  std::map<std::uint32_t, std::uint64_t> lost_events_;
  datapath::QuarantineState quarantine_;
  std::vector<datapath::MapUsage> maps_;
  std::vector<datapath::ProgramRuns> runs_;
  datapath::Integrity integrity_;
};

}  // namespace sluice::test
