// One filter message, ready to be compared with many events. A value; Matches may be called from several threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "telemetry/event/peer_pattern.h"

namespace sluice::telemetry {

class EventConditions {
 public:
  EventConditions() = default;  // everything matches
  // InvalidArgument: a condition that can match nothing; says what is accepted.
  static StatusOr<EventConditions> Make(const v1::ObserveRequest::Filter& filter);

  bool Matches(const v1::Event& event) const;
  // Whether some of those that were lost may have matched, as far as it is known what they were.
  bool MayHaveMatched(const v1::Lost& lost) const;
  bool WantsFlows() const { return HasType("flow"); }
  // No flow has to be looked at to know that it matches.
  bool TakesEveryFlow() const { return WantsFlows() && !NarrowsFlows() && !NarrowsAll(); }
  // The workloads that it names and, without a name, the namespaces.
  std::vector<policy::ObjectName> Names() const;

 private:
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
  bool NarrowsAll() const { return !(namespaces_.empty() && workloads_.empty() && processes_.empty()); }
  bool NarrowsFlows() const;
  bool IsOf(const std::string& ns, const std::string& workload) const;
  bool Runs(const v1::Process& process) const;
  bool MatchesFlow(const v1::Flow& flow) const;
  bool MatchesEnds(const v1::Flow& flow) const;
  template <typename Message>
  bool MatchesProcess(const Message& event) const;

  bool without_forks_ = false;
  bool without_host_ = false;
  // Of each that is not empty, one is enough.
  std::vector<std::string> types_;
  std::vector<std::string> namespaces_;
  std::vector<policy::ObjectName> workloads_;
  std::vector<std::string> processes_;
  // Only flows have these.
  std::vector<v1::Flow::Verdict> verdicts_;
  std::vector<Port> ports_;
  std::vector<policy::Prefix> ips_;
  std::vector<std::string> protocols_;
  std::vector<policy::Selector> labels_;
  std::vector<policy::ObjectName> policies_;  // without a namespace: of any
  std::vector<std::string> drop_reasons_;
  std::vector<PeerPattern> from_;
  std::vector<PeerPattern> to_;
};

}  // namespace sluice::telemetry
