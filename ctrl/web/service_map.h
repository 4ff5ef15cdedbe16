// Flows of a span of time -> who talked with whom. Pure; one thread.
//   ServiceMapBuilder builder({.from = from, .until = until});
//   for (const v1::Flow& flow : flows) builder.Add(flow);
//   web::ServiceMap map = builder.Take();
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "api/web.pb.h"
#include "policy/network/quarantine.h"
#include "policy/network/snapshot.h"

namespace sluice::web {

class ServiceMapBuilder {
 public:
  struct Span {
    std::int64_t from_ns = 0;
    std::int64_t until_ns = 0;
  };
  struct Limits {
    std::size_t nodes = 4096;
    std::size_t edges = 8192;
  };

  explicit ServiceMapBuilder(Span span) : ServiceMapBuilder(span, Limits()) {}
  ServiceMapBuilder(Span span, Limits limits) : span_(span), limits_(limits) {}

  // The local workloads, also those without flows.
  void AddWorkloads(const policy::Snapshot& snapshot, const policy::Quarantine& quarantine);
  // A flow is in the span if it had begun before the span's end, and a packet of it was seen after the span's begin.
  // One flow may be added twice, as the events of its life: its newest record counts.
  void Add(const v1::Flow& flow);
  ServiceMap Take();

 private:
  // Ends, programs, protocol, port, verdict and its reason, Service.
  using Key = std::tuple<std::string, std::string, std::string, std::string, std::string, std::uint32_t, int,
                         std::string, std::string>;
  struct Amounts {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
  };
  struct Counted {
    ServiceMap::Edge* edge = nullptr;  // null: left out
    Amounts amounts;
  };

  std::string NodeOf(const v1::Peer& peer, const std::string& address, bool is_destination);
  ServiceMap::Edge* EdgeOf(const v1::Flow& flow);

  const Span span_;
  const Limits limits_;
  ServiceMap map_;
  std::int64_t oldest_ns_ = 0;  // 0: no flow yet
  std::map<std::string, ServiceMap::Node*> nodes_;
  std::map<Key, ServiceMap::Edge*> edges_;
  std::map<std::string, Counted> flows_;  // by flow_id
};

}  // namespace sluice::web
