// The Kubernetes NetworkPolicy end-to-end cases (tests/data/netpol, schema in its README.md), rendered for one scenario
// and one address family: for each step the resources to apply, the resources to delete, and the full truth table to
// check.
//   SL_ASSIGN_OR_RETURN(NetpolScenario world, NetpolScenario::Load(directory));
//   SL_ASSIGN_OR_RETURN(auto cases, LoadNetpolCases(directory, world, Family::kIpv6));
// Plain values; safe to share once loaded. Errors: InvalidArgument with file, line and field.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "policy/resource/model.h"

namespace sluice::test {

enum class Family { kIpv4, kIpv6 };

// The location of a pod. With a netns or a host interface it is rendered as a Workload, else as a v1 Pod.
struct PodPlace {
  policy::Address ipv4;
  policy::Address ipv6;
  std::string netns;
  std::string host_interface;
  std::string interface = "eth0";  // inside the netns
};
using PodPlaces = std::map<policy::ObjectName, PodPlace>;

struct NetpolScenario {
  struct Pod {
    policy::Labels labels;
    PodPlace place;
    const policy::Address& ip(Family family) const { return family == Family::kIpv4 ? place.ipv4 : place.ipv6; }
  };
  struct Port {
    std::uint16_t number;
    std::string protocol;
  };
  std::map<std::string, policy::Labels> namespaces;
  std::map<policy::ObjectName, Pod> pods;
  std::vector<Port> ports;  // each pod serves all of them

  // Reads world.yaml of `directory`. A pod that is not in `places` is a v1 Pod at 10.1.0.N and fd00:1::N.
  static StatusOr<NetpolScenario> Load(const std::string& directory, const PodPlaces& places = {});

  std::string NamespaceYaml(const std::string& name) const;
  std::string PodYaml(const policy::ObjectName& name) const;
  std::string ToYaml() const;  // every namespace and pod
};

struct NetpolCell {
  policy::ObjectName from;
  policy::ObjectName to;
  bool allowed = true;
};

struct NetpolStep {
  std::string apply;                        // resources as YAML, policies and relabelled objects; may be empty
  std::vector<policy::ResourceId> deletes;  // after `apply`
  std::uint8_t protocol = policy::kTcp;
  std::uint16_t port = 0;
  std::vector<NetpolCell> cells;  // every ordered pair of two pods, sorted
};

struct NetpolCase {
  int number = 0;  // 1..48
  std::string name;
  std::uint8_t context = policy::kTcp;  // its group in Kubernetes
  std::vector<NetpolStep> steps;
  std::vector<policy::ResourceId> policies;  // in force after the last step
  std::string restore;                       // restores relabelled objects; may be empty
};

// All cases of `directory`, sorted by number.
StatusOr<std::vector<NetpolCase>> LoadNetpolCases(const std::string& directory, const NetpolScenario& world,
                                                  Family family);

// Cases 1..last in both families, as test parameters: all, or with SLUICE_CONFORMANCE_EVERY=N in the environment every
// Nth from `offset` on. An odd N visits both families.
std::vector<std::tuple<int, Family>> ChosenNetpolCases(int last, int offset = 0);
// This N, or 1.
int NetpolCaseStep();

}  // namespace sluice::test
