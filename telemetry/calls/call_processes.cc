#include "telemetry/calls/call_processes.h"

#include <sys/stat.h>

#include <cstring>

namespace sluice::telemetry {
namespace {

using policy::rules::Process;
using policy::rules::SessionLeader;

constexpr std::uint32_t kNoUser = ~0U;
constexpr int kMostAncestors = 64;
constexpr std::chrono::seconds kLeadersKept{1};

// As stat(2) gives it: the low 8 bits of the minor number, 12 bits of the major one, the rest of the minor one.
std::uint32_t DeviceNumber(std::uint32_t of_kernel) {
  const std::uint32_t major = of_kernel >> 20, minor = of_kernel & 0xfffff;
  return (minor & 0xff) | major << 8 | (minor & ~0xffU) << 12;
}

std::string WithSlash(const std::string& path) { return path.empty() || path.ends_with('/') ? path : path + "/"; }

std::string NameIn(const sl_call_event& event) {
  const auto* const name = reinterpret_cast<const char*>(event.comm);
  return {name, strnlen(name, sizeof(event.comm))};
}

// A program that is in memory is on no mounted file system; rules (as Falco's for runc's own copy of itself) know it
// without the slash: "memfd:runc_cloned:/proc/self/exe".
std::string PathForRules(const std::string& binary) { return binary.substr(binary.starts_with("/memfd:") ? 1 : 0); }

std::optional<SessionLeader> LeaderOf(const std::optional<ProcessInstance>& instance) {
  if (!instance) return std::nullopt;
  SessionLeader leader{.name = instance->name};
  if (instance->image != nullptr) {
    leader.exe = instance->image->argument0;
    leader.exe_path = PathForRules(instance->image->binary);
  }
  return leader;
}

std::vector<std::string> SplitEnvironment(std::string_view text) {
  std::vector<std::string> variables;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\0'), text.size());
    if (end != 0) variables.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return variables;
}

}  // namespace

// The host's files, also if this runs in a container that has the host's processes.
std::string CallProcesses::HostRoot() {
  struct stat info {};
  return stat("/proc/1/root/etc/passwd", &info) == 0 ? "/proc/1/root" : "";
}

std::uint64_t CallProcesses::WallNs(std::uint64_t boot_ns) {
  const auto time = clock_.At(boot_ns);
  return static_cast<std::uint64_t>(time.seconds()) * 1'000'000'000 + static_cast<std::uint64_t>(time.nanos());
}

bool CallProcesses::IsThere(const sl_call_event& event) const {
  return event.process == 0 || known_.contains(event.process) || tree_.Find(event.process);
}

std::optional<ProcessInstance> CallProcesses::FindInstance(const sl_call_event& event) const {
  if (event.process != 0) {
    if (auto instance = tree_.Find(event.process); instance && instance->pid == event.pid) return instance;
  }
  auto living = tree_.FindByPid(event.pid);
  return living && event.birth_ns != 0 && living->birth_ns == event.birth_ns ? living : std::nullopt;
}

std::shared_ptr<CallProcesses::Known> CallProcesses::Keep(sl_process_id id, std::shared_ptr<Known> known) {
  while (known_.size() >= max_ && !order_.empty()) {
    known_.erase(order_.front());
    order_.pop_front();
  }
  order_.push_back(id);
  known_.insert_or_assign(id, Place{.known = known, .order = std::prev(order_.end())});
  return known;
}

std::shared_ptr<CallProcesses::Known> CallProcesses::FindById(sl_process_id id, int depth) {
  if (id == 0 || depth > kMostAncestors) return nullptr;
  if (const auto place = known_.find(id); place != known_.end()) {
    order_.splice(order_.end(), order_, place->second.order);
    return place->second.known;
  }
  auto instance = tree_.Find(id);
  return instance ? Make(*std::move(instance), depth) : nullptr;
}

// One of which not all is known is not kept.
std::shared_ptr<CallProcesses::Known> CallProcesses::Make(ProcessInstance instance, int depth) {
  auto made = std::make_shared<Known>();
  Process& process = made->process;
  process.pid = instance.pid;
  process.vpid = instance.namespace_pid == 0 ? std::nullopt : std::optional<std::int64_t>(instance.namespace_pid);
  process.name = instance.name;
  process.start_ns = WallNs(instance.birth_ns);
  if (instance.image != nullptr) {
    process.exe = instance.image->argument0;
    process.executable.path = PathForRules(instance.image->binary);
    process.arguments = instance.image->arguments;
    process.cwd = WithSlash(instance.image->working_directory);
  }
  process.executable.in_memory = (instance.flags & SL_PROCESS_FROM_MEMORY) != 0;
  process.credentials.uid = instance.uid;
  process.credentials.gid = instance.gid;
  made->parent = FindById(instance.parent, depth + 1);
  if (made->parent != nullptr) process.parent = &made->parent->process;
  Describe(process);
  const bool whole = !instance.incomplete;
  const sl_process_id id = instance.id;
  made->instance = std::move(instance);
  return whole ? Keep(id, std::move(made)) : made;
}

std::shared_ptr<CallProcesses::Known> CallProcesses::Find(const CallRecord& record) {
  const sl_call_event& event = record.event;
  if (const auto place = known_.find(event.process); event.process != 0 && place != known_.end()) {
    order_.splice(order_.end(), order_, place->second.order);
    return place->second.known;
  }
  if (auto instance = FindInstance(event)) return Make(*std::move(instance), 0);
  auto unknown = std::make_shared<Known>();
  unknown->process.pid = event.pid;
  return unknown;
}

void CallProcesses::UpdateUsers(const sl_call_event& event, bool in_container, Known* known) {
  const bool same = known->described && known->uid == event.uid && known->gid == event.gid &&
                    known->login_uid == event.login_uid && known->in_container == in_container;
  if (same) return;
  known->uid = event.uid;
  known->gid = event.gid;
  known->login_uid = event.login_uid;
  known->in_container = in_container;
  auto& credentials = known->process.credentials;
  credentials.uid = event.uid;
  credentials.gid = event.gid;
  credentials.login_uid = event.login_uid == kNoUser ? std::nullopt : std::optional(event.login_uid);
  if (in_container)
    UserNames::FillOfContainer(&credentials);
  else
    users_.Fill(&credentials);
}

void CallProcesses::UpdateLeaders(const sl_call_event& event, Known* known) const {
  const auto now = std::chrono::steady_clock::now();
  const bool same = known->leaders_session == event.session && known->leaders_group == event.group &&
                    now - known->leaders_found < kLeadersKept;
  if (same) return;
  known->leaders_found = now;
  known->leaders_session = event.session;
  known->leaders_group = event.group;
  const auto leader = [&](std::uint32_t pid) {
    return pid == event.pid ? LeaderOf(known->instance) : LeaderOf(tree_.FindByPid(pid));
  };
  known->process.session_leader = leader(event.session);
  known->process.group_leader = leader(event.group);
}

void CallProcesses::Update(const CallRecord& record, bool in_container, Known* known) {
  const sl_call_event& event = record.event;
  Process& process = known->process;
  std::string name = NameIn(event);
  const bool renamed = process.name != name;
  process.name = std::move(name);
  if (event.namespace_pid != 0) process.vpid = event.namespace_pid;
  process.sid = event.session;
  process.pgid = event.group;
  if (event.namespace_group != 0) process.vpgid = event.namespace_group;
  process.tty = event.terminal == 0 ? 0 : DeviceNumber(event.terminal);
  process.cap_effective = event.capabilities[0];
  process.cap_permitted = event.capabilities[1];
  process.cap_inheritable = event.capabilities[2];
  if (event.pid_namespace_start_ns != 0) process.pid_namespace_start_ns = WallNs(event.pid_namespace_start_ns);
  auto& program = process.executable;
  program.upper_layer = (event.flags & SL_CALL_EXE_UPPER) != 0;
  program.lower_layer = (event.flags & SL_CALL_EXE_LOWER) != 0;
  program.in_memory = (event.flags & SL_CALL_EXE_MEMORY) != 0;
  program.writable = (event.flags & SL_CALL_EXE_WRITABLE) != 0;
  if (event.exe_inode != 0) {
    program.inode = event.exe_inode;
    program.changed_ns = event.exe_changed_ns;
    program.modified_ns = event.exe_modified_ns;
  }
  if (const std::string& cwd = record.text(SL_CALL_TEXT_WORKING); !cwd.empty()) process.cwd = WithSlash(cwd);
  if (const std::string& text = record.text(SL_CALL_TEXT_ENVIRONMENT); !text.empty())
    process.environment = SplitEnvironment(text);
  UpdateUsers(event, in_container, known);
  UpdateLeaders(event, known);
  if (renamed || !known->described) Describe(process);
  known->described = true;
}

}  // namespace sluice::telemetry
