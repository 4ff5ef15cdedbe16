#include "telemetry/process/process_tree.h"

#include <cstring>

namespace sluice::telemetry {
namespace {

// Limit for a walk along ancestors.
constexpr std::size_t kMaxSteps = 4096;

bool HasSameProgram(const ProcessInstance& a, const ProcessInstance& b) {
  return a.image != nullptr && b.image != nullptr && a.image->binary == b.image->binary &&
         a.image->script == b.image->script;
}

// The instance executed its program itself; it is not a child that still runs its parent's.
bool RanItsOwn(const ProcessInstance& instance) {
  return (instance.flags & (SL_PROCESS_EXECED | SL_PROCESS_SEEDED)) != 0;
}

ProcessInstance Identify(const sl_process_header& header) {
  ProcessInstance instance;
  instance.id = header.id;
  instance.pid = header.pid;
  instance.parent_pid = header.parent_pid;
  instance.start_ns = header.start_ns;
  instance.birth_ns = header.birth_ns;
  instance.cgroup = header.cgroup;
  instance.flags = header.flags;
  return instance;
}

}  // namespace

std::optional<ProcessInstance> ProcessTree::Apply(const ProcessRecord& record) {
  const std::lock_guard lock(mutex_);
  if (record.event() == SL_PROCESS_EVENT_EXIT) return ApplyExit(record);
  const sl_process_header& header = record.header();
  Entry* entry = store_.Find(header.id);
  const bool is_new = entry == nullptr;
  if (is_new) {
    EndPrevious(record);
    entry = Add(Identify(header), OwnerOf(record));
  }
  if (entry == nullptr) {  // no room: the event is reported, but the instance is not kept
    ProcessInstance passing = Identify(header);
    Fill(passing, record);
    FillImage(passing, record, nullptr);
    passing.parent = header.parent;
    passing.previous = record.start.previous;
    return passing;
  }
  entry->seen = seeding_;
  // About the instance's start, the iterator knows no more than an event, and less about the parent.
  const bool known = record.event() == SL_PROCESS_EVENT_SEED && !entry->instance.incomplete;
  if (known) {
    FillChangeable(entry->instance, record);
  } else {
    Fill(entry->instance, record);
    FillImage(entry->instance, record, &entry->share->second);
    store_.SetAncestors(*entry, header.parent, record.start.previous);
  }
  if (!is_new) store_.MoveToItsOwner(*entry);
  ProcessInstance told = entry->instance;
  if (record.event() == SL_PROCESS_EVENT_EXEC) EndPrevious(record);  // may make room, even by removing this entry
  return told;
}

// The exit of an unknown instance is kept too, so that the iterator's late record does not revive it.
std::optional<ProcessInstance> ProcessTree::ApplyExit(const ProcessRecord& record) {
  const sl_process_header& header = record.header();
  Entry* entry = header.id != 0 ? store_.Find(header.id) : FindByBirth(header);
  if (entry == nullptr && header.id == 0) return std::nullopt;
  if (entry == nullptr) {
    EndOlder(header);
    ProcessInstance over = Identify(header);
    over.end_ns = header.time_ns;
    entry = Add(std::move(over), OwnerOf(record));
    if (entry != nullptr) store_.SetAncestors(*entry, header.parent, 0);
  }
  if (entry == nullptr) {  // no room: the event is reported, but the instance is not kept
    ProcessInstance passing = Identify(header);
    passing.end_ns = header.time_ns;
    passing.wait_status = record.wait_status;
    return passing;
  }
  if (entry->instance.end_ns != 0 && entry->instance.wait_status) return std::nullopt;
  store_.End(*entry, header.time_ns, record.wait_status);
  return entry->instance;
}

// For a process without an id, because the kernel's table was full.
ProcessTree::Entry* ProcessTree::FindByBirth(const sl_process_header& header) {
  Entry* entry = store_.FindByPid(header.pid);
  return entry != nullptr && entry->instance.birth_ns == header.birth_ns ? entry : nullptr;
}

// Ends an older instance with this pid: its exit was lost.
void ProcessTree::EndOlder(const sl_process_header& header) {
  Entry* entry = store_.FindByPid(header.pid);
  if (entry != nullptr && entry->instance.id < header.id) store_.End(*entry, header.start_ns, std::nullopt);
}

// Ends the instance that ran under this pid until now: an exec replaced it, or its exit was lost.
void ProcessTree::EndPrevious(const ProcessRecord& record) {
  const sl_process_header& header = record.header();
  const sl_process_id previous = record.start.previous;
  if (previous != 0 && store_.Find(previous) == nullptr) {
    ProcessInstance stub = Identify(header);  // so that a late record of the iterator finds it ended
    stub.id = previous;
    stub.start_ns = header.birth_ns;
    stub.end_ns = header.start_ns;
    stub.flags = 0;
    Entry* entry = Add(std::move(stub), OwnerOf(record));
    if (entry != nullptr) store_.SetAncestors(*entry, header.parent, 0);
  }
  if (Entry* entry = store_.Find(previous); entry != nullptr && entry->instance.end_ns == 0) {
    store_.End(*entry, header.start_ns, std::nullopt);
  }
  EndOlder(header);
}

ProcessTree::Entry* ProcessTree::Add(ProcessInstance instance, const policy::ObjectName& owner) {
  Entry* entry = store_.Add(std::move(instance), owner);
  if (entry != nullptr) entry->seen = seeding_;
  return entry;
}

// The share of a record's process. An exit record does not name it: then that of the previous instance, or of the
// parent.
policy::ObjectName ProcessTree::OwnerOf(const ProcessRecord& record) {
  const sl_process_header& header = record.header();
  const Entry* near = store_.Find(record.start.previous);
  if (near == nullptr) near = store_.Find(header.parent);
  if (record.event() == SL_PROCESS_EVENT_EXIT) return near == nullptr ? policy::ObjectName{} : near->share->first;
  ProcessInstance instance = Identify(header);
  FillChangeable(instance, record);
  if (instance.cgroup_path == nullptr && near != nullptr && near->instance.cgroup == instance.cgroup) {
    instance.cgroup_path = near->instance.cgroup_path;
  }
  return store_.OwnerOf(instance);
}

void ProcessTree::Fill(ProcessInstance& instance, const ProcessRecord& record) {
  const sl_process_start& start = record.start;
  instance.tid = start.tid;
  instance.namespace_pid = start.ns_pid;
  instance.namespace_tid = start.ns_tid;
  instance.start_ns = start.header.start_ns;
  instance.flags = start.header.flags;
  instance.incomplete = false;
  FillChangeable(instance, record);
}

// Sets facts that may have changed since the instance's start.
void ProcessTree::FillChangeable(ProcessInstance& instance, const ProcessRecord& record) {
  const sl_process_start& start = record.start;
  instance.parent_pid = start.header.parent_pid;
  instance.uid = start.uid;
  instance.gid = start.gid;
  instance.effective_uid = start.euid;
  instance.login_uid = start.auid;
  instance.capabilities = start.capabilities;
  instance.namespaces = start.namespaces;
  instance.cgroup = start.header.cgroup;
  const auto* name = reinterpret_cast<const char*>(start.comm);
  instance.name.assign(name, strnlen(name, sizeof(start.comm)));
  if (start.cgroup_length != 0 && (instance.cgroup_path == nullptr || *instance.cgroup_path != record.cgroup_path))
    instance.cgroup_path = std::make_shared<const std::string>(record.cgroup_path);
}

// `share` null: the instance is reported, but not kept.
void ProcessTree::FillImage(ProcessInstance& instance, const ProcessRecord& record, const ProcessStore::Share* share) {
  if (record.event() == SL_PROCESS_EVENT_FORK) {
    const ProcessInstance* parent = store_.FindInstance(record.header().parent);
    if (parent == nullptr || parent->incomplete) {
      if (instance.image == nullptr) instance.incomplete = true;
      return;
    }
    if (instance.image == nullptr) instance.image = parent->image;
    if (instance.cgroup == parent->cgroup && instance.cgroup_path == nullptr)
      instance.cgroup_path = parent->cgroup_path;
    constexpr std::uint32_t kOfImage = SL_PROCESS_UNLINKED | SL_PROCESS_FROM_MEMORY | SL_PROCESS_ARGUMENTS_TRUNCATED |
                                       SL_PROCESS_BINARY_TRUNCATED | SL_PROCESS_CWD_TRUNCATED |
                                       SL_PROCESS_SCRIPT_TRUNCATED;
    instance.flags |= parent->flags & kOfImage;
    return;
  }
  if (record.binary.empty() && record.argument0.empty()) return;  // a kernel thread
  auto image = std::make_unique<ProcessImage>(
      ProcessImage{record.binary, record.script, record.argument0, record.arguments, record.working_directory});
  if ((record.header().flags & SL_PROCESS_SCRIPT_BY_ENV) != 0) {
    const ProcessInstance* env = store_.FindInstance(record.start.previous);
    if (env != nullptr && env->image != nullptr) image->script = env->image->script;
  }
  if (share == nullptr) {
    instance.image = std::move(image);
    return;
  }
  bool has_lost_arguments = false;
  auto kept = store_.KeepImage(std::move(image), *share, &has_lost_arguments);
  if (has_lost_arguments) instance.flags |= SL_PROCESS_ARGUMENTS_TRUNCATED;
  if (kept != nullptr) instance.image = std::move(kept);
}

std::optional<ProcessInstance> ProcessTree::Find(sl_process_id id) const {
  const std::lock_guard lock(mutex_);
  const ProcessInstance* instance = store_.FindInstance(id);
  return instance == nullptr ? std::nullopt : std::optional(*instance);
}

std::optional<ProcessInstance> ProcessTree::FindByPid(std::uint32_t pid) const {
  const std::lock_guard lock(mutex_);
  const ProcessInstance* instance = store_.FindLifeByPid(pid);
  return instance == nullptr ? std::nullopt : std::optional(*instance);
}

// The parent that forked the instance's process. If unknown (a daemon after the agent restarted): the process that
// would reap it now. `known` false: the result is not the forking parent, or is null although there was one.
const ProcessInstance* ProcessTree::FindParent(const ProcessInstance& instance, bool* known) const {
  const ProcessInstance* parent = store_.FindInstance(instance.parent);
  *known = parent != nullptr || (instance.parent == 0 ? instance.parent_pid == 0 : instance.parent == first_);
  if (parent != nullptr || instance.parent_pid == 0) return parent;
  const ProcessInstance* reaper = store_.FindLifeByPid(instance.parent_pid);
  // A process that started later than the child only reuses the parent's pid.
  return reaper != nullptr && reaper->birth_ns < instance.birth_ns ? reaper : nullptr;
}

std::vector<ProcessInstance> ProcessTree::Ancestors(sl_process_id id, std::size_t max, bool* cut) const {
  const std::lock_guard lock(mutex_);
  std::vector<ProcessInstance> ancestors;
  bool complete = true;
  const ProcessInstance* instance = store_.FindInstance(id);
  for (std::size_t steps = 0; instance != nullptr; ++steps) {
    if (steps == kMaxSteps) {
      complete = false;
      break;
    }
    const ProcessInstance* const of = instance;
    const ProcessInstance* previous = store_.FindInstance(instance->previous);
    bool known = true;
    instance = previous != nullptr && RanItsOwn(*previous) ? previous : FindParent(*instance, &known);
    complete = complete && known;
    if (instance == nullptr || (instance == previous && HasSameProgram(*instance, *of))) continue;
    if (ancestors.size() == max) {
      complete = false;
      break;
    }
    ancestors.push_back(*instance);
  }
  if (cut != nullptr) *cut = !complete;
  return ancestors;
}

// All instances of a process have the same parent.
std::optional<std::uint32_t> ProcessTree::LivingParent(sl_process_id id) const {
  const std::lock_guard lock(mutex_);
  const ProcessInstance* instance = store_.FindInstance(id);
  for (std::size_t steps = 0; instance != nullptr && steps < kMaxSteps; ++steps) {
    bool known = true;
    instance = FindParent(*instance, &known);
    if (instance == nullptr) break;
    const ProcessInstance* living = store_.FindLifeByPid(instance->pid);
    if (living != nullptr && living->birth_ns == instance->birth_ns) return instance->pid;
  }
  return std::nullopt;
}

ProcessTree::Starts ProcessTree::IdsByStart() const {
  const std::lock_guard lock(mutex_);
  Starts ids;
  for (const auto& [id, entry] : store_.entries()) ids[{entry.instance.pid, entry.instance.start_ns}] = id;
  return ids;
}

std::vector<ProcessInstance> ProcessTree::Living() const {
  const std::lock_guard lock(mutex_);
  std::vector<ProcessInstance> living;
  for (const auto& [id, entry] : store_.entries()) {
    if (entry.instance.end_ns == 0) living.push_back(entry.instance);
  }
  return living;
}

void ProcessTree::BeginSeed(std::uint64_t now_ns) {
  const std::lock_guard lock(mutex_);
  seeding_++;
  seed_began_ns_ = now_ns;
}

void ProcessTree::EndSeed(std::uint64_t now_ns, bool complete) {
  const std::lock_guard lock(mutex_);
  if (!complete) return;
  const auto is_untold = [this](const Entry& entry) {
    return entry.seen != seeding_ && entry.instance.start_ns < seed_began_ns_;
  };
  store_.EndIf(is_untold, now_ns);
}

void ProcessTree::SetFirst(sl_process_id id) {
  const std::lock_guard lock(mutex_);
  first_ = id;
}

void ProcessTree::Expire(std::uint64_t now_ns) {
  const std::lock_guard lock(mutex_);
  store_.Expire(now_ns);
}

ProcessTree::Stats ProcessTree::stats() const {
  const std::lock_guard lock(mutex_);
  return store_.stats();
}

}  // namespace sluice::telemetry
