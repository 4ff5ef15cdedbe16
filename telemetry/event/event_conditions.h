// One filter message, prepared for matching many events. A value; Matches may be called from several threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "telemetry/event/peer_pattern.h"

namespace sluice::telemetry {

class EventConditions {
 public:
  EventConditions() = default;  // matches everything
  // InvalidArgument: a condition that can match nothing; the message says what is accepted.
  static StatusOr<EventConditions> Make(const v1::ObserveRequest::Filter& filter);

  bool Matches(const v1::Event& event) const;
  // Whether some of the lost events may have matched.
  bool MayHaveMatched(const v1::Lost& lost) const;
  bool WantsFlows() const { return HasType("flow"); }
  // Every flow matches, so flows need not be checked.
  bool TakesEveryFlow() const { return WantsFlows() && !NarrowsOnlyFlows() && policies_.empty() && !NarrowsAll(); }
  // The workloads that it names; an entry without a name is a whole namespace.
  std::vector<policy::ObjectName> Names() const;

 private:
  struct Owner {
    std::string kind;  // any case; empty: any
    std::string name;
  };
  struct Port {
    std::uint16_t port;
    std::string protocol;  // empty: any
  };

  Status Read(const v1::ObserveRequest::Filter& filter);
  Status ReadTexts(const v1::ObserveRequest::Filter& filter);
  Status ReadPeers(const v1::ObserveRequest::Filter& filter);
  Status AddVerdict(v1::Flow::Verdict verdict);
  Status AddPort(std::uint32_t port, const std::string& protocol);
  bool HasType(const std::string& type) const;
  bool NarrowsAll() const {
    return !(namespaces_.empty() && workloads_.empty() && owners_.empty() && processes_.empty());
  }
  bool NarrowsOnlyFlows() const;
  bool IsOf(const std::string& ns, const std::string& workload) const;
  bool IsOwnedBy(const v1::Owner& owner) const;
  bool Runs(const v1::Process& process) const;
  bool MatchesFlow(const v1::Flow& flow) const;
  bool MatchesPolicies(const google::protobuf::RepeatedPtrField<v1::PolicyRef>& policies) const;
  bool MatchesEnds(const v1::Flow& flow) const;
  template <typename Message>
  bool MatchesPolicy(const Message& event) const;
  template <typename Message>
  bool MatchesProcess(const Message& event) const;

  bool without_forks_ = false;
  bool without_host_ = false;
  // An event must match one value of each list that is not empty.
  std::vector<std::string> types_;
  std::vector<std::string> namespaces_;
  std::vector<policy::ObjectName> workloads_;
  std::vector<Owner> owners_;
  std::vector<std::string> processes_;
  std::vector<policy::ObjectName> policies_;  // of flows, hooks, alerts and responses; empty namespace: any
  // Only flows have these.
  std::vector<v1::Flow::Verdict> verdicts_;
  std::vector<Port> ports_;
  std::vector<policy::Prefix> ips_;
  std::vector<std::string> protocols_;
  std::vector<policy::Selector> labels_;
  std::vector<std::string> drop_reasons_;
  std::vector<PeerPattern> from_;
  std::vector<PeerPattern> to_;
};

}  // namespace sluice::telemetry
