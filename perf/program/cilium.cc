#include "perf/program/cilium.h"

#include <arpa/inet.h>
#include <linux/pkt_cls.h>

#include <array>
#include <fstream>
#include <map>
#include <memory>

#include "kernel/bpf/map.h"
#include "kernel/bpf/testing/program_set.h"
#include "perf/program/floors.h"
#include "perf/program/frame.h"

namespace sluice::perf {
namespace {

constexpr std::uint32_t kPackets = 200000;
constexpr int kManyPolicies = 10000;
constexpr std::uint16_t kClientPort = 40000;
constexpr CiliumProgram kPrograms[] = {CiliumProgram::kToContainer, CiliumProgram::kPolicy,
                                       CiliumProgram::kFromContainer};
// The endpoint is that of Cilium's bpf/ep_config.h; the allowed and the denied peer are ours.
constexpr char kEndpoint[] = "64.48.32.16", kFriend[] = "10.1.0.1", kStranger[] = "203.0.113.1";
constexpr std::uint32_t kFriendIdentity = 20000, kStrangerIdentity = 19999;

// Maps of the endpoint program: their entries as in Cilium's bpf/lib/common.h and maps.h, their names as in
// bpf/node_config.h and ep_config.h.
constexpr char kPolicyMap[] = "test_cilium_policy_65535", kAddressMap[] = "test_cilium_ipcache",
               kFlowMap[] = "test_cilium_ct_tcp4_65535";

struct PolicyKey {
  std::uint32_t prefix_bits = 64;  // covers all following fields
  std::uint32_t identity = 0;
  std::uint8_t egress = 0;
  std::uint8_t protocol = IPPROTO_TCP;
  __be16 port = 0;
};

struct PolicyEntry {
  __be16 proxy_port = 0;
  std::uint8_t flags = 0;  // none: allows this protocol and port
  std::uint8_t authentication = 0;
  std::uint32_t padding = 0;
  std::uint64_t packets = 0, bytes = 0;
};

struct AddressKey {
  std::uint32_t prefix_bits = 64;  // covers the following fields, up to the IPv4 address
  std::uint16_t cluster = 0;
  std::uint8_t padding = 0;
  std::uint8_t family = 1;  // IPv4
  std::uint32_t address[4] = {};
};

struct AddressEntry {
  std::uint32_t identity = 0;
  std::uint32_t tunnel = 0;
  std::uint32_t flags = 0;
};

using FlowKey = std::array<std::uint8_t, 14>;

struct FlowEntry {
  std::uint64_t unused[4];
  std::uint32_t expires;
  std::uint16_t flags;
  std::uint16_t other[9];
};
constexpr std::uint16_t kSeenAfterItsSyn = 0x10;  // set only when a packet finds its flow, not by the first packet

struct Flows {
  int all = 0;
  int established = 0;
  bool operator==(const Flows&) const = default;
};

struct Way {
  const char* row;
  const char* function;
  bool to_pod;
  std::uint16_t port, denied_port;  // of the service
  std::uint32_t identity;           // in the entry that allows the packets
};

// A test run passes no identity. A program that expects one from its caller gets an entry that allows any identity; the
// number of look-ups is the same.
const Way& WayOf(CiliumProgram program) {
  static constexpr Way kToContainer = {"to-container", "cil_to_container", true, 8080, 8080, kFriendIdentity},
                       kPolicy = {"policy", "handle_policy", true, 8081, 8082, 0},
                       kFromContainer = {"from-container", "cil_from_container", false, 8080, 8080, kFriendIdentity};
  if (program == CiliumProgram::kToContainer) return kToContainer;
  return program == CiliumProgram::kPolicy ? kPolicy : kFromContainer;
}

PolicyKey Entry(std::uint32_t identity, const Way& way) {
  return {.identity = identity, .egress = !way.to_pod, .port = htons(way.port)};
}

AddressKey Entry(std::uint32_t address) { return {.address = {htonl(address)}}; }

std::uint32_t HostOrder(const char* address) { return ntohl(inet_addr(address)); }

template <typename K, typename V>
StatusOr<bpf::Map<K, V>> BindMap(const bpf::ProgramSet& object, const char* name) {
  const int fd = object.map_fd(name);
  if (fd < 0) return InvalidError("it has no map {}: build it with scripts/build-cilium-objects", name);
  return bpf::Map<K, V>::Bind(fd, name);
}

// Owns the object and its maps.
class Endpoint {
 public:
  // Creates one policy entry for each program; `policies` entries for the first.
  static StatusOr<std::shared_ptr<Endpoint>> Create(const std::string& elf, int policies, const Runner& runner);

  StatusOr<Cost> Measure(const Way& way) const;

 private:
  Endpoint(bpf::ProgramSet object, const Runner& runner) : object_(std::move(object)), runner_(runner) {}
  Status Allow(int policies) const;
  Status ForgetFlows() const;
  StatusOr<Flows> ReadFlows() const;
  StatusOr<std::uint64_t> CountedByPolicy(const Way& way) const;
  // An error when the flows differ from the expected ones afterwards, or a packet got the wrong verdict.
  StatusOr<Cost> Run(const Way& way, bool allowed, std::uint8_t tcp_flags, std::uint32_t packets,
                     const Flows& flows) const;

  bpf::ProgramSet object_;
  const Runner& runner_;
  bpf::Map<PolicyKey, PolicyEntry> policy_;
  bpf::Map<AddressKey, AddressEntry> addresses_;
  bpf::Map<FlowKey, FlowEntry> flows_;
};

StatusOr<std::shared_ptr<Endpoint>> Endpoint::Create(const std::string& elf, int policies, const Runner& runner) {
  SL_ASSIGN_OR_RETURN(auto object, bpf::ProgramSet::Load("cilium", elf));
  const std::shared_ptr<Endpoint> endpoint(new Endpoint(std::move(object), runner));
  const bpf::ProgramSet& set = endpoint->object_;
  SL_ASSIGN_OR_RETURN(endpoint->policy_, (BindMap<PolicyKey, PolicyEntry>(set, kPolicyMap)));
  SL_ASSIGN_OR_RETURN(endpoint->addresses_, (BindMap<AddressKey, AddressEntry>(set, kAddressMap)));
  SL_ASSIGN_OR_RETURN(endpoint->flows_, (BindMap<FlowKey, FlowEntry>(set, kFlowMap)));
  SL_RETURN_IF_ERROR(endpoint->Allow(policies));
  return endpoint;
}

Status Endpoint::Allow(int policies) const {
  SL_RETURN_IF_ERROR(addresses_.Put(Entry(HostOrder(kStranger)), {.identity = kStrangerIdentity}));
  for (const CiliumProgram program : kPrograms) {
    const Way& way = WayOf(program);
    SL_RETURN_IF_ERROR(policy_.Put(Entry(way.identity, way), {}));
  }
  const Way& way = WayOf(CiliumProgram::kToContainer);
  for (int i = 0; i < policies; ++i) {
    const std::uint32_t identity = kFriendIdentity + i;
    SL_RETURN_IF_ERROR(addresses_.Put(Entry(HostOrder(kFriend) + i), {.identity = identity}));
    SL_RETURN_IF_ERROR(policy_.Put(Entry(identity, way), {}));
  }
  return OkStatus();
}

Status Endpoint::ForgetFlows() const {
  std::vector<FlowKey> keys;
  SL_RETURN_IF_ERROR(flows_.ForEachBatch([&](const FlowKey& key, const FlowEntry&) { keys.push_back(key); }));
  return flows_.DeleteAll(keys);
}

StatusOr<Flows> Endpoint::ReadFlows() const {
  Flows flows;
  SL_RETURN_IF_ERROR(flows_.ForEachBatch([&](const FlowKey&, const FlowEntry& flow) {
    ++flows.all;
    if ((flow.flags & kSeenAfterItsSyn) != 0) ++flows.established;
  }));
  return flows;
}

StatusOr<std::uint64_t> Endpoint::CountedByPolicy(const Way& way) const {
  SL_ASSIGN_OR_RETURN(const auto entry, policy_.Get(Entry(way.identity, way)));
  return entry ? entry->packets : 0;
}

StatusOr<Cost> Endpoint::Run(const Way& way, bool allowed, std::uint8_t tcp_flags, std::uint32_t packets,
                             const Flows& flows) const {
  SL_ASSIGN_OR_RETURN(const auto pod, policy::Address::Parse(kEndpoint));
  SL_ASSIGN_OR_RETURN(const auto peer, policy::Address::Parse(allowed ? kFriend : kStranger));
  ProgramRun run;
  run.program_fd = object_.program_fd(way.function);
  run.input.frame = MakeFrame({.source = way.to_pod ? peer : pod,
                               .destination = way.to_pod ? pod : peer,
                               .source_port = kClientPort,
                               .destination_port = allowed ? way.port : way.denied_port,
                               .flags = tcp_flags});
  run.input.repeat = packets;
  SL_ASSIGN_OR_RETURN(const std::uint64_t before, CountedByPolicy(way));
  SL_ASSIGN_OR_RETURN(const auto output, runner_.Run(run));
  SL_ASSIGN_OR_RETURN(const std::uint64_t after, CountedByPolicy(way));
  SL_ASSIGN_OR_RETURN(const Flows found, ReadFlows());
  const auto wrong = [&](const std::string& why) {
    return MakeError(absl::StatusCode::kInternal, "{}: wrong verdict for {}: {}", way.function, peer.ToString(), why);
  };
  const auto code = static_cast<std::uint32_t>(allowed ? TC_ACT_OK : TC_ACT_SHOT);
  if (output.verdict != code) return wrong(fmt::format("returned {}, expected {}", output.verdict, code));
  const std::uint64_t expected = allowed ? packets : 0;
  if (after - before != expected)
    return wrong(fmt::format("{} packets counted by policy, expected {}", after - before, expected));
  if (found != flows)
    return wrong(fmt::format("{} flows, {} of them established, expected {} and {}", found.all, found.established,
                             flows.all, flows.established));
  return output.cost;
}

StatusOr<Cost> Endpoint::Measure(const Way& way) const {
  SL_RETURN_IF_ERROR(ForgetFlows());
  SL_RETURN_IF_ERROR(Run(way, false, kSyn, 1, {}).status());
  SL_RETURN_IF_ERROR(Run(way, true, kSyn, 1, {.all = 1}).status());
  return Run(way, true, kAck, kPackets, {.all = 1, .established = 1});
}

StatusOr<std::string> ReadObject(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(file), {});
  return file ? StatusOr<std::string>(std::move(bytes)) : ErrnoError(errno, "read {}", path);
}

}  // namespace

std::string CiliumCase::Name() const {
  const std::string name = fmt::format("{}/{}/established/flows:1", kCilium, WayOf(program).row);
  return policies > 1 ? fmt::format("{}/policies:{}", name, policies) : name;
}

std::vector<CiliumCase> CiliumCases(bool brief) {
  std::vector<CiliumCase> cases;
  for (const CiliumProgram program : kPrograms) cases.push_back({.program = program});
  if (!brief) cases.push_back({.policies = kManyPolicies});
  return cases;
}

StatusOr<std::vector<Measurement>> CiliumPeers(const std::string& object_path, const std::vector<CiliumCase>& cases,
                                               const Runner& runner) {
  SL_ASSIGN_OR_RETURN(const std::string elf, ReadObject(object_path));
  std::map<int, std::shared_ptr<Endpoint>> endpoints;  // by the number of policies
  std::vector<Measurement> all;
  for (const CiliumCase& what : cases) {
    std::shared_ptr<Endpoint>& endpoint = endpoints[what.policies];
    if (endpoint == nullptr) {
      SL_ASSIGN_OR_RETURN(endpoint, Endpoint::Create(elf, what.policies, runner));
    }
    const Way& way = WayOf(what.program);
    Measurement one;
    one.row = {.name = what.Name(), .against = {BareFloor(false), HashFloor(false, 1)}};
    one.packets = kPackets;
    one.measure = [endpoint, &way] { return endpoint->Measure(way); };
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace sluice::perf
