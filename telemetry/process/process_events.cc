#include "telemetry/process/process_events.h"

#include <google/protobuf/util/time_util.h>

#include "base/capability.h"
#include "telemetry/event/pod_owner.h"
#include "telemetry/event/text.h"

namespace sluice::telemetry {
namespace {

constexpr std::uint32_t kNoLogin = ~0U;
constexpr std::uint32_t kAnyCpu = ~0U;
constexpr std::uint32_t kCoreDumped = 0x80;
constexpr std::size_t kMaxAncestors = 32;
// Limits of the arguments in a message, in bytes.
constexpr std::size_t kAllArguments = SIZE_MAX;
constexpr std::size_t kArgumentsOfMany = 16384;  // of which a process has many

struct FlagName {
  std::uint32_t mask;
  v1::Process::Flag flag;
};
constexpr FlagName kFlags[] = {
    {SL_PROCESS_KERNEL_THREAD, v1::Process::KERNEL_THREAD},
    {SL_PROCESS_SETUID, v1::Process::SETUID},
    {SL_PROCESS_SETGID, v1::Process::SETGID},
    {SL_PROCESS_PRIVILEGED, v1::Process::PRIVILEGES_GAINED},
    {SL_PROCESS_UNLINKED, v1::Process::UNLINKED},
    {SL_PROCESS_FROM_MEMORY, v1::Process::FROM_MEMORY},
    {SL_PROCESS_ARGUMENTS_TRUNCATED, v1::Process::ARGUMENTS_TRUNCATED},
    {SL_PROCESS_BINARY_TRUNCATED | SL_PROCESS_CWD_TRUNCATED | SL_PROCESS_CGROUP_TRUNCATED | SL_PROCESS_SCRIPT_TRUNCATED,
     v1::Process::PATH_TRUNCATED},
    {SL_PROCESS_SEEDED, v1::Process::STARTED_BEFORE_AGENT},
    {SL_PROCESS_OTHER_MOUNTS, v1::Process::OTHER_MOUNT_NAMESPACE},
};

constexpr const char* kCauses[] = {
#define SL_X(name, label) label,
    SL_PROCESS_LOSSES(SL_X)
#undef SL_X
};
constexpr const char* kEvents[] = {
#define SL_X(name, label) label,
    SL_PROCESS_EVENTS(SL_X)
#undef SL_X
};

void AddNamespaces(const sl_process_namespaces& from, v1::Process::Namespaces* out) {
  if (from.net != 0) out->set_net(from.net);
  if (from.mnt != 0) out->set_mnt(from.mnt);
  if (from.pid != 0) out->set_pid(from.pid);
  if (from.user != 0) out->set_user(from.user);
  if (from.uts != 0) out->set_uts(from.uts);
  if (from.ipc != 0) out->set_ipc(from.ipc);
  if (from.cgroup != 0) out->set_cgroup(from.cgroup);
}

// False: there are more arguments.
bool AddArguments(const ProcessImage& image, std::size_t max_bytes, v1::Process* out) {
  std::size_t bytes = 0;
  for (const std::string& argument : image.arguments) {
    bytes += sizeof(std::string) + argument.size();
    if (bytes > max_bytes) return false;
    out->add_arguments(ToUtf8(argument));
  }
  return true;
}

void AddImage(const ProcessImage& image, v1::Process* out) {
  out->set_binary(ToUtf8(image.binary));
  out->set_script(ToUtf8(image.script));
  out->set_argument0(ToUtf8(image.argument0));
  out->set_working_directory(ToUtf8(image.working_directory));
}

// Adds the facts from the record of the instance's start.
void AddBeginning(const ProcessInstance& instance, v1::Process* out) {
  out->set_tid(instance.tid);
  out->set_namespace_pid(instance.namespace_pid);
  out->set_namespace_tid(instance.namespace_tid);
  out->set_name(ToUtf8(instance.name));
  out->set_uid(instance.uid);
  out->set_gid(instance.gid);
  out->set_effective_uid(instance.effective_uid);
  if (instance.login_uid != kNoLogin) out->set_login_uid(instance.login_uid);
  for (unsigned bit = 0; bit < 64; ++bit) {
    if ((instance.capabilities >> bit & 1) != 0) out->add_capabilities(CapabilityName(bit));
  }
  AddNamespaces(instance.namespaces, out->mutable_namespaces());
}

}  // namespace

const char* ProcessLossName(std::uint32_t cause) {
  return cause < std::size(kCauses) ? kCauses[cause] : "PROCESS_OTHER";
}

void ProcessEvents::ToProto(const ProcessInstance& instance, v1::Process* out) const {
  ToProto(instance, kAllArguments, out);
}

void ProcessEvents::ToProto(const ProcessInstance& instance, std::size_t max_arguments, v1::Process* out) const {
  AddOwnFacts(instance, max_arguments, out);
  if (const auto parent = tree_->Find(instance.parent)) out->set_parent_exec_id(ExecId(node_, *parent));
  if (const auto previous = tree_->Find(instance.previous)) out->set_previous_exec_id(ExecId(node_, *previous));
  bool ancestors_cut = false;
  for (const ProcessInstance& ancestor : tree_->Ancestors(instance.id, kMaxAncestors, &ancestors_cut)) {
    if (ancestor.image != nullptr) out->add_ancestors(ToUtf8(ancestor.image->binary));
  }
  if (ancestors_cut) out->add_flags(v1::Process::ANCESTORS_INCOMPLETE);
}

void ProcessEvents::AddOwnFacts(const ProcessInstance& instance, std::size_t max_arguments, v1::Process* out) const {
  out->set_pid(instance.pid);
  if (instance.start_ns != 0) {
    out->set_exec_id(ExecId(node_, instance));
    *out->mutable_start_time() = clock_->At(instance.start_ns);
  }
  const bool begun = instance.tid != 0;
  if (begun) AddBeginning(instance, out);
  std::uint32_t flags = instance.flags;
  if (instance.image != nullptr) {
    AddImage(*instance.image, out);
    if (!AddArguments(*instance.image, max_arguments, out)) flags |= SL_PROCESS_ARGUMENTS_TRUNCATED;
  }
  for (const FlagName& name : kFlags) {
    if ((flags & name.mask) != 0) out->add_flags(name.flag);
  }
  if (instance.incomplete) out->add_flags(v1::Process::INCOMPLETE);
  if (instance.cgroup != 0) out->set_cgroup_id(instance.cgroup);
  if (instance.cgroup_path != nullptr) {
    out->set_cgroup_path(ToUtf8(*instance.cgroup_path));
    out->set_container_id(ContainerId(*instance.cgroup_path));
  }
  if (const auto container = ContainerOf(instance)) out->set_container_name(container->name);
}

std::shared_ptr<const Container> ProcessEvents::ContainerOf(const ProcessInstance& instance) const {
  if (names_.containers == nullptr || instance.cgroup_path == nullptr) return nullptr;
  const std::string id = ContainerId(*instance.cgroup_path);
  return id.empty() ? nullptr : names_.containers->Find(id);
}

std::optional<policy::ObjectName> ProcessEvents::WorkloadOf(const ProcessInstance& instance) const {
  if (auto workload = names_.workload ? names_.workload(instance) : std::nullopt) return workload;
  const auto container = ContainerOf(instance);
  return container ? std::optional(container->pod) : std::nullopt;
}

// The owner is not looked up by the name of the container's pod: another pod may have it by now.
template <typename Message>
void ProcessEvents::AddWorkload(const ProcessInstance& instance, Message* out) const {
  const auto container = ContainerOf(instance);
  const auto workload = names_.workload ? names_.workload(instance) : std::nullopt;
  if (!workload && !container) return;
  const policy::ObjectName& name = workload ? *workload : container->pod;
  out->set_namespace_(name.ns);
  out->set_workload(name.name);
  auto owner = container ? container->owner : nullptr;
  if (!owner && workload && names_.owner) owner = names_.owner(name);
  if (owner) SetOwner(*owner, out->mutable_owner());
}

bool ProcessEvents::ToPeer(sl_process_id id, v1::Process* out) const {
  const auto instance = tree_->Find(id);
  if (instance) ToProto(*instance, kArgumentsOfMany, out);
  return instance.has_value();
}

template <typename Message>
void ProcessEvents::Begin(const ProcessInstance& instance, std::uint64_t time_ns, const char* type,
                          std::size_t max_arguments, Message* out) const {
  *out->mutable_time() = clock_->At(time_ns);
  out->set_node(node_);
  out->set_type(type);
  AddWorkload(instance, out);
  ToProto(instance, max_arguments, out->mutable_process());
}

v1::Event ProcessEvents::MakeExec(const ProcessInstance& instance) const {
  v1::Event event;
  Begin(instance, instance.start_ns, "exec", kAllArguments, event.mutable_exec());
  return event;
}

v1::Event ProcessEvents::MakeFork(const ProcessInstance& instance) const {
  v1::Event event;
  Begin(instance, instance.start_ns, "fork", kAllArguments, event.mutable_fork());
  return event;
}

v1::Event ProcessEvents::MakeExit(const ProcessInstance& instance) const {
  v1::Event event;
  v1::Exit& exit = *event.mutable_exit();
  Begin(instance, instance.end_ns, "exit", kAllArguments, &exit);
  *exit.mutable_duration() = google::protobuf::util::TimeUtil::NanosecondsToDuration(
      static_cast<std::int64_t>(instance.end_ns - instance.birth_ns));
  if (!instance.wait_status) return event;
  const std::uint32_t status = *instance.wait_status;
  if (const int signal = static_cast<int>(status & 0x7f); signal != 0) {
    exit.set_signal(SignalName(signal));
    exit.set_core_dumped((status & kCoreDumped) != 0);
  } else {
    exit.set_exit_code(status >> 8 & 0xff);
  }
  return event;
}

v1::Event ProcessEvents::MakeHook(const ProcessInstance& instance, std::uint64_t time_ns) const {
  v1::Event event;
  Begin(instance, time_ns, "hook", kArgumentsOfMany, event.mutable_hook());
  return event;
}

v1::Event ProcessEvents::MakeAlert(const ProcessInstance& instance, std::uint64_t time_ns) const {
  v1::Event event;
  Begin(instance, time_ns, "alert", kArgumentsOfMany, event.mutable_alert());
  return event;
}

v1::Event ProcessEvents::MakeDetection(const ProcessInstance& instance) const {
  v1::Event event;
  Begin(instance, 0, "detection", kArgumentsOfMany, event.mutable_detection());
  event.mutable_detection()->clear_time();
  return event;
}

void ProcessEvents::AddParent(const ProcessInstance& instance, v1::Event* event) const {
  auto parent = tree_->Find(instance.previous);
  if (!parent || (parent->flags & (SL_PROCESS_EXECED | SL_PROCESS_SEEDED)) == 0) parent = tree_->Find(instance.parent);
  if (!parent) return;
  v1::Process* const out = event->mutable_parent();
  AddOwnFacts(*parent, kArgumentsOfMany, out);
  if (const auto above = tree_->Find(parent->parent)) out->set_parent_exec_id(ExecId(node_, *above));
}

v1::Event ProcessEvents::MakeLost(const sl_process_loss_key& key, std::uint64_t count) const {
  v1::Event event;
  v1::Lost& lost = *event.mutable_lost();
  *lost.mutable_time() = clock_->AtNow();
  lost.set_node(node_);
  lost.set_type("lost");
  lost.set_count(count);
  if (key.cpu == kAnyCpu) {
    lost.set_cause("PROCESS_OTHER");
    return event;
  }
  lost.set_cause(ProcessLossName(key.cause));
  lost.set_event(key.event < std::size(kEvents) ? kEvents[key.event] : "");
  lost.set_cpu(key.cpu);
  if (key.cgroup != 0) lost.set_cgroup_id(key.cgroup);
  if (const auto workload = WorkloadOfCgroup(key.cgroup)) {
    lost.set_namespace_(workload->ns);
    lost.set_workload(workload->name);
  }
  return event;
}

// Only if all of its processes have the same workload: without version 2 cgroups, many workloads share one id.
std::optional<policy::ObjectName> ProcessEvents::WorkloadOfCgroup(std::uint64_t cgroup) const {
  std::optional<policy::ObjectName> found;
  if (!names_.workload || cgroup == 0) return found;
  for (const ProcessInstance& instance : tree_->Living()) {
    if (instance.cgroup != cgroup) continue;
    const auto workload = names_.workload(instance);
    if (!workload || (found && *found != *workload)) return std::nullopt;
    found = workload;
  }
  return found;
}

}  // namespace sluice::telemetry
