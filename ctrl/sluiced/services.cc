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

// A socket by UDP may be connected to a backend of `before` that `table` does not have.
bool LosesDatagramBackends(const policy::ServiceTable& before, const policy::ServiceTable& table) {
  return std::any_of(before.begin(), before.end(), [&](const auto& one) {
    const auto& [address, entry] = one;
    if (address.protocol != policy::kUdp) return false;
    const auto found = table.find(address);
    if (found == table.end() || found->second.service != entry.service) return true;
    const auto& backends = found->second.backends;
    return !std::includes(backends.begin(), backends.end(), entry.backends.begin(), entry.backends.end());
  });
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
  set.Update(ForgetFlowsTo(*table));
  if (!table_ || LosesDatagramBackends(*table_, *table)) may_have_stale_sockets_ = true;
  table_ = std::move(table);
  const Status ended = may_have_stale_sockets_ ? EndStaleSockets() : OkStatus();
  if (ended.ok()) may_have_stale_sockets_ = false;
  const std::string problem = ended.ok() ? "" : Message(ended);
  if (problem != end_problem_ && !ended.ok()) LogWarn("end the sockets of backends that are gone: {}", problem);
  end_problem_ = problem;
  return set;
}

// A pod may have sent to an address before it was a Service's. The packet path would repeat what it decided then.
Status Services::ForgetFlowsTo(const policy::ServiceTable& table) {
  std::set<policy::Frontend> fresh;
  for (const auto& [address, entry] : table)
    if (!table_ || !table_->contains(address)) fresh.insert(address);
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
  SL_ASSIGN_OR_RETURN(const std::vector<sl_stale_socket> stale, programs_->FindStaleSockets());
  std::map<std::uint64_t, std::vector<sl_stale_socket>> by_client;
  for (const sl_stale_socket& socket : stale) by_client[socket.client].push_back(socket);
  Status ended = OkStatus();
  for (const auto& [client, sockets] : by_client) ended.Update(EndSockets(client, sockets));
  return ended;
}

Status Services::EndSockets(std::uint64_t client, const std::vector<sl_stale_socket>& sockets) {
  const std::string path = datapath_->NamespacePath(client);
  if (path.empty()) return OkStatus();  // the pod is gone, and its sockets with it
  const auto netns = net::NetNs::Open(path);
  if (absl::IsNotFound(netns.status())) return OkStatus();
  SL_RETURN_IF_ERROR(netns.status());
  SL_ASSIGN_OR_RETURN(const Fd diagnosis, helper_->DiagnosisSocketIn(netns->fd()));
  Status all = OkStatus();
  for (const sl_stale_socket& socket : sockets) {
    const Status ended = net::EndUdpSocket(diagnosis.get(), {.cookie = socket.cookie,
                                                             .local = policy::Address(socket.local),
                                                             .remote = policy::Address(socket.backend.addr),
                                                             .local_port = ntohs(socket.local_port),
                                                             .remote_port = ntohs(socket.backend.port),
                                                             .interface = socket.interface});
    if (absl::IsUnimplemented(ended)) can_end_sockets_ = false;
    all.Update(Annotate(ended, path));
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
