#include "ctrl/sluiced/services.h"

#include <arpa/inet.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/log.h"
#include "kernel/net/netns.h"
#include "kernel/net/udp_socket.h"

namespace sluice {
namespace {

// What a new table means for the flows and sockets that are there.
struct Difference {
  std::set<policy::Frontend> fresh;      // addresses that were no Service's
  bool loses_datagram_backends = false;  // a UDP socket may be connected to a backend that its Service has lost
};

bool HasLost(const policy::ServiceEntry& before, const policy::ServiceEntry& now) {
  return before.service != now.service ||
         !std::includes(now.backends.begin(), now.backends.end(), before.backends.begin(), before.backends.end());
}

Difference Compare(const policy::ServiceTable& before, const policy::ServiceTable& now) {
  Difference difference;
  const auto lose = [&](const policy::Frontend& address) {
    if (address.protocol == policy::kUdp) difference.loses_datagram_backends = true;
  };
  auto old = before.begin();
  for (const auto& [address, entry] : now) {
    for (; old != before.end() && old->first < address; ++old) lose(old->first);
    if (old == before.end() || old->first != address) {
      difference.fresh.insert(difference.fresh.end(), address);
      continue;
    }
    if (HasLost(old->second, entry)) lose(address);
    ++old;
  }
  for (; old != before.end(); ++old) lose(old->first);
  return difference;
}

}  // namespace

std::unique_ptr<Services> Services::Start(bool translates, const std::string& bpf_root, datapath::BpfDatapath* datapath,
                                          const rights::Helper* helper) {
  std::unique_ptr<Services> services(new Services(translates, datapath, helper));
  if (!translates) {
    const Status released = bpf::ServicePrograms::Release(bpf::PinLayout(bpf_root));
    if (!released.ok()) LogWarn("{}", Message(released));
    return services;
  }
  // By this number the programs know the pods: without it they would run for every socket, and translate none.
  auto programs = net::HasNetNsCookies()
                      ? bpf::ServicePrograms::Start(bpf_root)
                      : MakeError(absl::StatusCode::kUnimplemented,
                                  "the kernel does not number network namespaces (SO_NETNS_COOKIE, kernel 5.14)");
  if (programs.ok()) {
    services->programs_ = *std::move(programs);
  } else {
    services->problem_ = Message(programs.status());
    LogWarn("Services are not translated at the sockets of pods: {}", services->problem_);
  }
  return services;
}

Status Services::Set(std::shared_ptr<const policy::ServiceTable> table) {
  Status set = datapath_->services().Set(table);
  static const policy::ServiceTable kNone;
  Difference difference = Compare(table_ ? *table_ : kNone, *table);
  unforgotten_.merge(difference.fresh);
  const Status forgotten = ForgetFlowsTo(unforgotten_);
  if (forgotten.ok()) unforgotten_.clear();  // else with the next table
  set.Update(forgotten);
  // Before the first table, an earlier agent's may have been in force.
  if (!table_ || difference.loses_datagram_backends) may_have_stale_sockets_ = true;
  table_ = std::move(table);
  const Status ended = may_have_stale_sockets_ ? EndStaleSockets() : OkStatus();
  if (ended.ok()) may_have_stale_sockets_ = false;
  const std::string problem = ended.ok() ? "" : Message(ended);
  if (problem != end_problem_ && !ended.ok()) LogWarn("end the sockets of backends that are gone: {}", problem);
  end_problem_ = problem;
  return set;
}

// A pod may have sent to an address before it was a Service's. The packet path would repeat what it decided then.
Status Services::ForgetFlowsTo(const std::set<policy::Frontend>& fresh) {
  if (fresh.empty()) return OkStatus();
  std::vector<datapath::FlowRecord> stale;
  SL_RETURN_IF_ERROR(datapath_->ForEachFlow([&](const datapath::FlowRecord& flow) {
    if ((flow.entry.flags & (SL_CT_TO_SERVICE | SL_CT_FROM_NODE)) != 0) return;
    const bool hi = (flow.entry.flags & SL_CT_INITIATOR_HI) != 0;
    const policy::Frontend asked{policy::Address(hi ? flow.key.lo : flow.key.hi),
                                 ntohs(hi ? flow.key.lo_port : flow.key.hi_port), flow.key.protocol};
    if (fresh.contains(asked)) stale.push_back(flow);
  }));
  return datapath_->ForgetFlows(stale).status();
}

Status Services::EndStaleSockets() {
  if (!programs_ || !can_end_sockets_) return OkStatus();
  Status ended = OkStatus();
  for (const std::string& path : datapath_->NamespacePaths()) ended.Update(Annotate(EndStaleSocketsIn(path), path));
  return ended;
}

Status Services::EndStaleSocketsIn(const std::string& path) {
  const auto netns = net::NetNs::Open(path);
  if (absl::IsNotFound(netns.status())) return OkStatus();  // the pod is gone, and its sockets with it
  SL_RETURN_IF_ERROR(netns.status());
  SL_ASSIGN_OR_RETURN(const std::vector<sl_stale_socket> stale, programs_->FindStaleSockets(*helper_, netns->fd()));
  if (stale.empty()) return OkStatus();
  SL_ASSIGN_OR_RETURN(const Fd diagnosis, helper_->DiagnosisSocketIn(netns->fd()));
  Status all = OkStatus();
  for (const sl_stale_socket& socket : stale) {
    const Status ended = net::EndUdpSocket(diagnosis.get(), {.cookie = socket.cookie,
                                                             .local = policy::Address(socket.local),
                                                             .remote = policy::Address(socket.backend.addr),
                                                             .local_port = ntohs(socket.local_port),
                                                             .remote_port = ntohs(socket.backend.port),
                                                             .interface = socket.interface});
    if (absl::IsUnimplemented(ended)) can_end_sockets_ = false;
    all.Update(ended);
  }
  return all;
}

StatusOr<int> Services::Repair() {
  if (!programs_) return 0;
  SL_ASSIGN_OR_RETURN(const int repaired, programs_->Repair());
  if (repaired != 0) LogError("{} programs of Services were detached or unpinned by others: attached again", repaired);
  return repaired;
}

std::vector<bpf::Feature> Services::features() const {
  if (!translates_) return {};
  std::vector<bpf::Feature> features = {
      {"services_at_sockets", programs_ != nullptr, "the node translates the addresses of Services: " + problem_}};
  if (programs_) {
    features.push_back({"service_socket_ends", can_end_sockets_,
                        "UDP sockets stay connected to a Service's backend that is gone (the kernel needs "
                        "CONFIG_INET_UDP_DIAG and CONFIG_INET_DIAG_DESTROY)"});
    for (bpf::Feature& feature : programs_->features()) features.push_back(std::move(feature));
  }
  return features;
}

}  // namespace sluice
