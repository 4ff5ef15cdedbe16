#include "ctrl/sluiced/kubernetes.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "ctrl/kube/objects.h"
#include "kernel/net/netlink.h"
#include "policy/kinds/kinds.h"

namespace sluice {
namespace {

using policy::Kind;

constexpr Kind kKinds[] = {Kind::kNamespace,
                           Kind::kPod,
                           Kind::kNetworkPolicy,
                           Kind::kSluiceNetworkPolicy,
                           Kind::kSluiceClusterNetworkPolicy,
                           Kind::kTracingPolicy,
                           Kind::kTracingPolicyNamespaced,
                           Kind::kKubeArmorPolicy,
                           Kind::kKubeArmorHostPolicy,
                           Kind::kKubeArmorClusterPolicy,
                           Kind::kResponse};
// Policies in error that Events tell of at a time.
constexpr std::size_t kMaxPolicyProblems = 16;
constexpr char kNode[] = "node";               // as kube::NodeSpec names it
constexpr std::size_t kMaxWritesWaiting = 64;  // in the client's queues, for the sake of policies

// Policies of hooks, KubeArmor's, and Responses: their objects have no status of ours.
bool IsOfKernel(Kind kind) { return kind != Kind::kNamespace && kind != Kind::kPod && !policy::IsPolicy(kind); }

StatusOr<kube::ApiConfig> ReadConfig(const std::string& kube) {
  return kube == "in-cluster" ? kube::InClusterConfig() : kube::ReadKubeconfig(kube);
}

telemetry::SourceState ToSourceState(const kube::ResourceState& state) {
  telemetry::SourceState source{.name = state.name, .state = kube::PhaseName(state.phase)};
  const bool distrusted = state.distrusted_since.has_value();  // which is a failure too
  source.synced = state.listed && state.failures == 0;
  source.since = source.synced ? state.synced_since : state.failing_since;
  source.objects = state.objects;
  source.refused = state.refused_objects;
  source.problem = distrusted ? state.distrust_reason : state.last_error;
  source.errors = state.errors;
  source.bytes_received = state.bytes_received;
  source.requests = state.requests;
  return source;
}

notice::ObjectRef RefOf(Kind kind, const policy::ObjectName& name, const std::string& uid) {
  return {.api_version = policy::KindApiVersion(kind),
          .kind = policy::KindName(kind),
          .ns = name.ns,
          .name = name.name,
          .uid = uid};
}

// `refused`: the parser's error, if any.
notice::SeenPolicy ToSeenPolicy(Kind kind, const kube::ObjectMeta& meta, const simdjson::dom::element& object,
                                const Status& refused) {
  notice::SeenPolicy seen{.about = RefOf(kind, {meta.key.ns, meta.key.name}, meta.uid),
                          .generation = meta.generation,
                          .resource_version = meta.resource_version,
                          .has_status = kind != Kind::kNetworkPolicy && !IsOfKernel(kind)};
  if (!refused.ok()) seen.refused = Message(refused);
  if (!seen.has_status) return seen;
  if (auto enforced = kube::ReadCondition(object, "Enforced")) {
    seen.enforced = notice::Condition{.status = std::move(enforced->status),
                                      .reason = std::move(enforced->reason),
                                      .message = std::move(enforced->message),
                                      .generation = enforced->generation,
                                      .since = std::move(enforced->since)};
  }
  return seen;
}

// The filters by which the plugin closes an interface while no agent answers.
Status RemoveClosingFilters(std::uint32_t ifindex) {
  SL_ASSIGN_OR_RETURN(net::Netlink netlink, net::Netlink::Open());
  SL_RETURN_IF_ERROR(netlink.GetLink(ifindex).status());
  for (const net::TcSide side : {net::TcSide::kIngress, net::TcSide::kEgress}) {
    Status deleted = netlink.DeleteTcFilter(
        ifindex, side, {.kind = "bpf", .handle = cni::kClosingHandle, .priority = cni::kClosingPriority});
    if (!deleted.ok() && !absl::IsNotFound(deleted)) return deleted;
  }
  return OkStatus();
}

}  // namespace

StatusOr<std::unique_ptr<Kubernetes>> Kubernetes::Start(const KubernetesOptions& options,
                                                        reconcile::Controller* controller,
                                                        telemetry::ContainerNames* containers) {
  Fds fds{.changed = Fd(epoll_create1(EPOLL_CLOEXEC)),
          .event = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
          .services = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))};
  if (!fds.changed.valid() || !fds.event.valid() || !fds.services.valid()) {
    return ErrnoError(errno, "open an epoll file and eventfds");
  }
  std::unique_ptr<Kubernetes> source(new Kubernetes(std::move(fds), options, controller, containers));
  SL_ASSIGN_OR_RETURN(kube::ApiConfig config, ReadConfig(options.kube));
  source->server_ = config.server;
  std::vector<kube::ResourceSpec> specs;
  for (const Kind kind : kKinds) {
    specs.push_back(kube::SpecOf(kind));
    source->kinds_[specs.back().name] = kind;
  }
  if (options.set_services) {
    source->services_ = std::make_unique<service::ServiceSource>(options.node_name);
    specs.insert(specs.end(), source->services_->specs().begin(), source->services_->specs().end());
  } else {
    specs.push_back(kube::NodeSpec(options.node_name));
  }
  SL_ASSIGN_OR_RETURN(source->sandboxes_, pods::PodSandboxes::Open(options.state_dir));
  SL_ASSIGN_OR_RETURN(source->source_, SandboxSource::Start(options.cri, [self = source.get()](const auto& listed) {
                        if (self->options_.set_containers) self->options_.set_containers(listed);
                        self->containers_.SetContainers(listed);
                      }));
  for (const int fd : {source->event_.get(), source->services_event_.get(), source->source_->fd()}) {
    if (fd < 0) continue;
    epoll_event wanted{.events = EPOLLIN, .data = {}};
    if (epoll_ctl(source->changed_.get(), EPOLL_CTL_ADD, fd, &wanted) < 0) return ErrnoError(errno, "epoll_ctl");
  }
  SL_ASSIGN_OR_RETURN(source->client_, kube::Client::Create(std::move(config), std::move(specs), *source));
  return source;
}

Kubernetes::~Kubernetes() {
  {
    const std::lock_guard lock(told_mutex_);
    stopping_ = true;
  }
  followed_.notify_all();
  cni_.reset();
  client_.reset();
}

StatusOr<kube::Converted> Kubernetes::Convert(const kube::ResourceSpec& spec, const kube::ObjectMeta& meta,
                                              const simdjson::dom::element& object) {
  if (spec.name == kNode || (services_ && services_->Has(spec))) return service::ServiceSource::Convert(spec, object);
  const Kind kind = kinds_.at(spec.name);
  static const auto kParsers = policy::MoreKinds(policy::tracing::Reading::kCompiled);
  auto converted = kube::ConvertObject(kind, object, kParsers);
  if (policy::IsPolicy(kind) || IsOfKernel(kind)) {
    policy_notices_.See(ToSeenPolicy(kind, meta, object, converted.status()), std::chrono::steady_clock::now());
  }
  return converted;
}

void Kubernetes::Apply(const kube::ResourceSpec& spec, kube::Batch batch) {
  for (const kube::Change& change : batch.changes) {
    if (change.kind != kube::Change::Kind::kRefused) continue;
    LogError("Kubernetes: {}; its last good version, if it had one, stays in force", Message(change.refused));
  }
  if (spec.name == kNode) {
    const std::lock_guard lock(mutex_);
    for (const kube::Change& change : batch.changes) {
      if (change.kind == kube::Change::Kind::kUpsert)
        node_ = std::static_pointer_cast<const policy::ServiceNode>(change.value);
    }
  }
  if (services_ && services_->Has(spec)) services_->Apply(spec, batch);
  if (!kinds_.contains(spec.name)) {
    eventfd_write(services_event_.get(), 1);
    return;
  }
  ApplyResources(kinds_.at(spec.name), batch);
  Wake();
}

void Kubernetes::ApplyResources(Kind kind, const kube::Batch& batch) {
  const std::lock_guard lock(mutex_);
  for (const kube::Change& change : batch.changes) {
    if (change.kind == kube::Change::Kind::kUpsert) {
      const auto& object = *static_cast<const kube::KubeObject*>(change.value.get());
      resources_.insert_or_assign(object.resource.id, object.resource);
      containers_.SetPod(object);
      if (object.pod) nodes_of_pods_.Put(change.meta.uid, object.pod->node);
      if (IsOfKernel(kind)) uids_of_kernel_policies_[object.resource.id] = change.meta.uid;
    } else if (change.kind == kube::Change::Kind::kDelete) {
      resources_.erase({kind, {change.meta.key.ns, change.meta.key.name}});
      if (kind == Kind::kPod) {
        nodes_of_pods_.Remove(change.meta.uid);
        containers_.RemovePod({change.meta.key.ns, change.meta.key.name});
      }
      uids_of_kernel_policies_.erase({kind, {change.meta.key.ns, change.meta.key.name}});
      if (policy::IsPolicy(kind) || IsOfKernel(kind)) policy_notices_.Forget(policy::KindApiVersion(kind), change.meta);
    }
  }
}

void Kubernetes::Wake() const { eventfd_write(event_.get(), 1); }

// "absent" counts as read: the custom resource definition is not installed. Nothing is held for the sake of Services.
// The node's labels are waited for, so that a policy that asks for them is not in error for a moment; but without the
// right to read them everything else goes on.
Status Kubernetes::CheckComplete() const {
  for (const kube::ResourceState& state : client_->state().resources) {
    const bool is_awaited_node = state.name == kNode && state.failures == 0;
    if (state.listed || (!kinds_.contains(state.name) && !is_awaited_node)) continue;
    return MakeError(absl::StatusCode::kUnavailable, "{}: {}: {}", server_, state.name,
                     state.last_error.empty() ? "no answer yet" : state.last_error);
  }
  return source_->CheckListed();
}

StatusOr<policy::ResourceMap> Kubernetes::Resources() {
  if (auto list = source_->Next()) {
    const auto ago = std::chrono::steady_clock::now() - list->begun;
    const auto begun = pods::PodSandboxes::SinceBoot() - std::chrono::duration_cast<pods::PodSandboxes::Time>(ago);
    if (list->found) {
      sandboxes_->SetFound(std::move(list->sandboxes), begun);
    } else {
      sandboxes_->SetListed(std::move(list->sandboxes), begun);
    }
  }
  if (!complete_) SL_RETURN_IF_ERROR(CheckComplete());
  complete_ = true;
  containers_.SetSandboxes(sandboxes_->All());
  node_pods_.SetSandboxes(sandboxes_->All());
  policy::ResourceMap resources;
  {
    const std::lock_guard lock(mutex_);
    resources = resources_;
  }
  return node_pods_.AddTo(std::move(resources));
}

StatusOr<policy::ResourceMap> Kubernetes::WaitForResources(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (true) {
    auto resources = Resources();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (resources.ok() || left.count() <= 0) {
      FollowNode();
      return resources;
    }
    pollfd changed{fd(), POLLIN, 0};
    // An answer without objects wakes nobody.
    poll(&changed, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 50)));
    eventfd_t count = 0;
    for (const int event : {event_.get(), services_event_.get()}) eventfd_read(event, &count);
    source_->TakeEvent();
  }
}

// In front of the pods, as it takes less time and no pod waits for it.
void Kubernetes::FollowServices() {
  if (!services_) return;
  bool without_node = false;
  for (const kube::ResourceState& state : client_->state().resources) {
    if (state.name == "node") without_node = state.failures > 0;
  }
  const auto table = services_->Table(without_node);
  if (!table || table == services_set_) return;
  const Status set = options_.set_services(table);
  if (set.ok()) services_set_ = table;
  const std::string problem = set.ok() ? "" : Message(set);
  if (problem != services_problem_ && !set.ok()) LogError("Kubernetes: Services: {}", problem);
  services_problem_ = problem;
}

void Kubernetes::FollowNode() {
  std::shared_ptr<const policy::ServiceNode> node;
  {
    const std::lock_guard lock(mutex_);
    node = node_;
  }
  if (!options_.set_node_labels || node == nullptr || node == node_set_) return;
  const Status set = options_.set_node_labels(node->labels);
  if (set.ok()) node_set_ = node;
  const std::string problem = set.ok() ? "" : Message(set);
  if (problem != node_problem_ && !set.ok()) LogError("Kubernetes: labels of this node: {}", problem);
  node_problem_ = problem;
}

void Kubernetes::Follow() {
  eventfd_t count = 0;
  const bool told_of_resources = eventfd_read(event_.get(), &count) == 0;
  const bool told_of_pods = source_->TakeEvent();
  eventfd_read(services_event_.get(), &count);
  FollowServices();
  FollowNode();
  const auto now = std::chrono::steady_clock::now();
  if (!told_of_resources && !told_of_pods && now < look_at_pods_at_) return;
  look_at_pods_at_ = now + kRetry / 2;  // sooner than the agent calls
  std::uint64_t told = 0;
  {
    const std::lock_guard lock(told_mutex_);
    told = told_;
  }
  auto resources = Resources();
  const Status followed = resources.ok() ? controller_->SetKubernetes(*std::move(resources)) : resources.status();
  const std::string problem = followed.ok() ? "" : Message(followed);
  if (problem != problem_ && !followed.ok()) LogError("Kubernetes: what was in force stays in force: {}", problem);
  problem_ = problem;
  if (followed.ok()) {  // before the notices, which nobody waits for
    {
      const std::lock_guard lock(told_mutex_);
      followed_until_ = told;
    }
    followed_.notify_all();
  }
  if (complete_) SendNotices(followed);
}

void Kubernetes::SendNotices(const Status& followed) {
  const auto now = std::chrono::steady_clock::now();
  const auto wall = std::chrono::system_clock::now();
  if (policy_notices_.HasDue()) {
    const std::size_t waiting = std::min(client_->state().writes.queued, kMaxWritesWaiting);
    std::set<std::string> nodes;
    {
      const std::lock_guard lock(mutex_);
      nodes = nodes_of_pods_.nodes();
    }
    auto writes = policy_notices_.Due(nodes, followed.ok(), kMaxWritesWaiting - waiting, now, wall);
    for (kube::Write& write : writes) client_->Send(std::move(write));
  }
  for (kube::Write& write : node_notices_.Due(Problems(followed), now, wall)) client_->Send(std::move(write));
}

std::vector<notice::NodeProblem> Kubernetes::Problems(const Status& followed) {
  std::vector<notice::NodeProblem> problems;
  if (!followed.ok()) {
    problems.push_back({.about = {.api_version = "v1",
                                  .kind = "Node",
                                  .ns = "",
                                  .name = options_.node_name,
                                  .uid = options_.node_name},  // as kubelets write it
                        .reason = "NotEnforced",
                        .message = "What was in force stays in force: " + Message(followed)});
  }
  const auto view = controller_->view();
  const std::lock_guard lock(mutex_);
  for (const auto& [name, why] : view->unbound) {
    const auto found = resources_.find({Kind::kPod, name});
    if (found == resources_.end() || found->second.pod->finished) continue;
    problems.push_back(
        {.about = RefOf(Kind::kPod, name, found->second.pod->uid),
         .reason = "PodNotEnforced",
         .message = fmt::format(
             "The agent of node {} cannot enforce on it: {}. {}", options_.node_name, why,
             view->open.contains(name) ? "It is open: no policy holds for it." : "It is closed: no packet passes.")});
  }
  AddPolicyProblems(*view, &problems);
  return problems;
}

// The message names no node: an Event's name is made of it, so that a thousand nodes that lack the same thing make one.
void Kubernetes::AddPolicyProblems(const reconcile::View& view, std::vector<notice::NodeProblem>* problems) const {
  std::size_t added = 0;
  for (const auto& [id, why] : options_.policy_problems ? options_.policy_problems() : PolicyProblems()) {
    const auto uid = uids_of_kernel_policies_.find(id);
    if (uid == uids_of_kernel_policies_.end() || view.desired.SourceOf(id) != reconcile::Source::kKubernetes) continue;
    if (++added > kMaxPolicyProblems) break;
    problems->push_back({.about = RefOf(id.kind, id.name, uid->second),
                         .reason = "PolicyNotEnforced",
                         .message = fmt::format(
                             "At least one agent does not enforce it on its node: {}. Where an earlier version was in "
                             "force, it still is. `sluice status` on a node says what holds there.",
                             why)});
  }
}

std::vector<telemetry::SourceState> Kubernetes::states() const {
  std::vector<telemetry::SourceState> states;
  for (const kube::ResourceState& state : client_->state().resources) states.push_back(ToSourceState(state));
  states.push_back(source_->state(sandboxes_->All().size()));
  return states;
}

telemetry::SourceWrites Kubernetes::writes() const {
  const kube::WriteState writes = client_->state().writes;
  return {.queued = writes.queued,
          .requests = writes.requests,
          .succeeded = writes.succeeded,
          .failed = writes.failed,
          .dropped = writes.dropped};
}

Status Kubernetes::ServeCni() {
  if (options_.cni_socket.empty()) return OkStatus();
  pods::CniServer::Calls calls;
  calls.add = [this](const pods::ToldSandbox& told, pods::CniServer::Time deadline) { return AddPod(told, deadline); };
  calls.remove = [this](const cni::Attachment& gone) {
    Status removed = sandboxes_->Remove(gone);
    Wake();
    return removed;
  };
  calls.check = [this](const cni::Attachment& one) { return CheckPod(one); };
  calls.gc = [this](const std::string& network, const std::vector<cni::Attachment>& valid) {
    Status kept = sandboxes_->KeepOnly(network, valid);
    Wake();
    return kept;
  };
  calls.health = [this] { return Health(); };
  calls.open = [](const cni::Request& add) { return RemoveClosingFilters(add.host_ifindex); };
  SL_ASSIGN_OR_RETURN(cni_, pods::CniServer::Start({.socket = options_.cni_socket}, std::move(calls)));
  return OkStatus();
}

Status Kubernetes::AddPod(const pods::ToldSandbox& told, pods::CniServer::Time deadline) {
  SL_RETURN_IF_ERROR(sandboxes_->Add(told));
  std::unique_lock lock(told_mutex_);
  const std::uint64_t number = ++told_;
  Wake();
  const bool followed = followed_.wait_until(lock, deadline, [&] { return stopping_ || followed_until_ >= number; });
  if (!followed || stopping_) {
    const std::string holding = controller_->view()->holding;
    return MakeError(absl::StatusCode::kUnavailable, "the agent did not take the pod over in time{}{}",
                     holding.empty() ? "" : ": it is holding: ", holding);
  }
  lock.unlock();
  return reconcile::CheckStarted(*controller_->view(), told.sandbox.netns);
}

Status Kubernetes::CheckPod(const cni::Attachment& one) const {
  for (const node::Sandbox& sandbox : sandboxes_->All()) {
    if (sandbox.id != one.container_id || sandbox.interface != one.ifname) continue;
    return reconcile::CheckStarted(*controller_->view(), sandbox.netns);
  }
  return MakeError(absl::StatusCode::kNotFound, "no pod has the sandbox {}", one.container_id);
}

pods::CniHealth Kubernetes::Health() const {
  const std::string holding = controller_->view()->holding;
  return holding.empty() ? pods::CniHealth{} : pods::CniHealth{pods::CniHealth::kHolding, holding};
}

}  // namespace sluice
