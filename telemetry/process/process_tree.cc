#include "telemetry/process/process_tree.h"

#include <cstring>

namespace sluice::telemetry {
namespace {

// Of a walk along ancestors.
constexpr std::size_t kMaxSteps = 4096;

bool HasSameProgram(const ProcessLife& a, const ProcessLife& b) {
  return a.image != nullptr && b.image != nullptr && a.image->binary == b.image->binary &&
         a.image->script == b.image->script;
}

// A life of its own program, not a child that still runs its parent's.
bool RanItsOwn(const ProcessLife& life) { return (life.flags & (SL_PROCESS_EXECED | SL_PROCESS_SEEDED)) != 0; }

ProcessLife Identify(const sl_process_header& header) {
  ProcessLife life;
  life.id = header.id;
  life.pid = header.pid;
  life.parent_pid = header.parent_pid;
  life.start_ns = header.start_ns;
  life.birth_ns = header.birth_ns;
  life.cgroup = header.cgroup;
  life.flags = header.flags;
  return life;
}

}  // namespace

std::optional<ProcessLife> ProcessTree::Apply(const ProcessRecord& record) {
  const std::lock_guard lock(mutex_);
  if (record.event() == SL_PROCESS_EVENT_EXIT) return ApplyExit(record);
  const sl_process_header& header = record.header();
  Entry* entry = store_.Find(header.id);
  const bool is_new = entry == nullptr;
  if (is_new) {
    EndPrevious(record);
    entry = Add(Identify(header), OwnerOf(record));
  }
  if (entry == nullptr) {  // no room: the event can be told, not kept
    ProcessLife passing = Identify(header);
    Fill(passing, record);
    FillImage(passing, record, nullptr);
    passing.parent = header.parent;
    passing.previous = record.start.previous;
    return passing;
  }
  entry->seen = seeding_;
  // Of the life's beginning, the iterator knows no more than an event did, and less of the parent.
  const bool known = record.event() == SL_PROCESS_EVENT_SEED && !entry->life.incomplete;
  if (known) {
    FillChangeable(entry->life, record);
  } else {
    Fill(entry->life, record);
    FillImage(entry->life, record, &entry->share->second);
    store_.SetAncestors(*entry, header.parent, record.start.previous);
  }
  if (!is_new) store_.MoveToItsOwner(*entry);
  ProcessLife told = entry->life;
  if (record.event() == SL_PROCESS_EVENT_EXEC) EndPrevious(record);  // may make room, also by this entry
  return told;
}

// The exit of a life that was never told of is remembered, so that the iterator's late record does not revive it.
std::optional<ProcessLife> ProcessTree::ApplyExit(const ProcessRecord& record) {
  const sl_process_header& header = record.header();
  Entry* entry = header.id != 0 ? store_.Find(header.id) : FindByBirth(header);
  if (entry == nullptr && header.id == 0) return std::nullopt;
  if (entry == nullptr) {
    EndOlder(header);
    ProcessLife over = Identify(header);
    over.end_ns = header.time_ns;
    entry = Add(std::move(over), OwnerOf(record));
    if (entry != nullptr) store_.SetAncestors(*entry, header.parent, 0);
  }
  if (entry == nullptr) {  // no room: the event can be told, not kept
    ProcessLife passing = Identify(header);
    passing.end_ns = header.time_ns;
    passing.wait_status = record.wait_status;
    return passing;
  }
  if (entry->life.end_ns != 0 && entry->life.wait_status) return std::nullopt;
  store_.End(*entry, header.time_ns, record.wait_status);
  return entry->life;
}

// The kernel's table was full and had no id for the process.
ProcessTree::Entry* ProcessTree::FindByBirth(const sl_process_header& header) {
  Entry* entry = store_.FindByPid(header.pid);
  return entry != nullptr && entry->life.birth_ns == header.birth_ns ? entry : nullptr;
}

// What the tree has under this pid began before: its end was lost.
void ProcessTree::EndOlder(const sl_process_header& header) {
  Entry* entry = store_.FindByPid(header.pid);
  if (entry != nullptr && entry->life.id < header.id) store_.End(*entry, header.start_ns, std::nullopt);
}

// What ran under this pid until now: the life that an exec replaced, or one whose end was lost.
void ProcessTree::EndPrevious(const ProcessRecord& record) {
  const sl_process_header& header = record.header();
  const sl_process_id previous = record.start.previous;
  if (previous != 0 && store_.Find(previous) == nullptr) {
    ProcessLife stub = Identify(header);  // so that a late record of the iterator finds it ended
    stub.id = previous;
    stub.start_ns = header.birth_ns;
    stub.end_ns = header.start_ns;
    stub.flags = 0;
    Entry* entry = Add(std::move(stub), OwnerOf(record));
    if (entry != nullptr) store_.SetAncestors(*entry, header.parent, 0);
  }
  if (Entry* entry = store_.Find(previous); entry != nullptr && entry->life.end_ns == 0) {
    store_.End(*entry, header.start_ns, std::nullopt);
  }
  EndOlder(header);
}

ProcessTree::Entry* ProcessTree::Add(ProcessLife life, const policy::ObjectName& owner) {
  Entry* entry = store_.Add(std::move(life), owner);
  if (entry != nullptr) entry->seen = seeding_;
  return entry;
}

// An exit does not tell it: as that of the life before, or of who forked the process.
policy::ObjectName ProcessTree::OwnerOf(const ProcessRecord& record) {
  const sl_process_header& header = record.header();
  const Entry* near = store_.Find(record.start.previous);
  if (near == nullptr) near = store_.Find(header.parent);
  if (record.event() == SL_PROCESS_EVENT_EXIT) return near == nullptr ? policy::ObjectName{} : near->share->first;
  ProcessLife life = Identify(header);
  FillChangeable(life, record);
  if (life.cgroup_path == nullptr && near != nullptr && near->life.cgroup == life.cgroup) {
    life.cgroup_path = near->life.cgroup_path;
  }
  return store_.OwnerOf(life);
}

void ProcessTree::Fill(ProcessLife& life, const ProcessRecord& record) {
  const sl_process_start& start = record.start;
  life.tid = start.tid;
  life.namespace_pid = start.ns_pid;
  life.namespace_tid = start.ns_tid;
  life.start_ns = start.header.start_ns;
  life.flags = start.header.flags;
  life.incomplete = false;
  FillChangeable(life, record);
}

// What a process may have otherwise than at its life's beginning.
void ProcessTree::FillChangeable(ProcessLife& life, const ProcessRecord& record) {
  const sl_process_start& start = record.start;
  life.parent_pid = start.header.parent_pid;
  life.uid = start.uid;
  life.gid = start.gid;
  life.effective_uid = start.euid;
  life.login_uid = start.auid;
  life.capabilities = start.capabilities;
  life.namespaces = start.namespaces;
  life.cgroup = start.header.cgroup;
  const auto* name = reinterpret_cast<const char*>(start.comm);
  life.name.assign(name, strnlen(name, sizeof(start.comm)));
  if (start.cgroup_length != 0 && (life.cgroup_path == nullptr || *life.cgroup_path != record.cgroup_path))
    life.cgroup_path = std::make_shared<const std::string>(record.cgroup_path);
}

// `share` null: of a life that is told, not kept.
void ProcessTree::FillImage(ProcessLife& life, const ProcessRecord& record, const ProcessStore::Share* share) {
  if (record.event() == SL_PROCESS_EVENT_FORK) {
    const ProcessLife* parent = store_.FindLife(record.header().parent);
    if (parent == nullptr || parent->incomplete) {
      if (life.image == nullptr) life.incomplete = true;
      return;
    }
    if (life.image == nullptr) life.image = parent->image;
    if (life.cgroup == parent->cgroup && life.cgroup_path == nullptr) life.cgroup_path = parent->cgroup_path;
    constexpr std::uint32_t kOfImage = SL_PROCESS_UNLINKED | SL_PROCESS_FROM_MEMORY | SL_PROCESS_ARGUMENTS_TRUNCATED |
                                       SL_PROCESS_BINARY_TRUNCATED | SL_PROCESS_CWD_TRUNCATED |
                                       SL_PROCESS_SCRIPT_TRUNCATED;
    life.flags |= parent->flags & kOfImage;
    return;
  }
  if (record.binary.empty() && record.argument0.empty()) return;  // a kernel thread
  auto image = std::make_unique<ProcessImage>(
      ProcessImage{record.binary, record.script, record.argument0, record.arguments, record.working_directory});
  if ((record.header().flags & SL_PROCESS_SCRIPT_BY_ENV) != 0) {
    const ProcessLife* env = store_.FindLife(record.start.previous);
    if (env != nullptr && env->image != nullptr) image->script = env->image->script;
  }
  if (share == nullptr) {
    life.image = std::move(image);
    return;
  }
  bool has_lost_arguments = false;
  auto kept = store_.KeepImage(std::move(image), *share, &has_lost_arguments);
  if (has_lost_arguments) life.flags |= SL_PROCESS_ARGUMENTS_TRUNCATED;
  if (kept != nullptr) life.image = std::move(kept);
}

std::optional<ProcessLife> ProcessTree::Find(sl_process_id id) const {
  const std::lock_guard lock(mutex_);
  const ProcessLife* life = store_.FindLife(id);
  return life == nullptr ? std::nullopt : std::optional(*life);
}

std::optional<ProcessLife> ProcessTree::FindByPid(std::uint32_t pid) const {
  const std::lock_guard lock(mutex_);
  const ProcessLife* life = store_.FindLifeByPid(pid);
  return life == nullptr ? std::nullopt : std::optional(*life);
}

// Who forked the life's process. Where that is not known, as of a daemon after a restart of the agent, who would reap
// it now. `known` false: it is not the one that forked, or nobody although there was one.
const ProcessLife* ProcessTree::FindParent(const ProcessLife& life, bool* known) const {
  const ProcessLife* parent = store_.FindLife(life.parent);
  *known = parent != nullptr || (life.parent == 0 ? life.parent_pid == 0 : life.parent == first_);
  if (parent != nullptr || life.parent_pid == 0) return parent;
  const ProcessLife* reaper = store_.FindLifeByPid(life.parent_pid);
  // Who was born later only has the pid of the one that went.
  return reaper != nullptr && reaper->birth_ns < life.birth_ns ? reaper : nullptr;
}

std::vector<ProcessLife> ProcessTree::Ancestors(sl_process_id id, std::size_t max, bool* cut) const {
  const std::lock_guard lock(mutex_);
  std::vector<ProcessLife> ancestors;
  bool complete = true;
  const ProcessLife* life = store_.FindLife(id);
  for (std::size_t steps = 0; life != nullptr; ++steps) {
    if (steps == kMaxSteps) {
      complete = false;
      break;
    }
    const ProcessLife* const of = life;
    const ProcessLife* previous = store_.FindLife(life->previous);
    bool known = true;
    life = previous != nullptr && RanItsOwn(*previous) ? previous : FindParent(*life, &known);
    complete = complete && known;
    if (life == nullptr || (life == previous && HasSameProgram(*life, *of))) continue;
    if (ancestors.size() == max) {
      complete = false;
      break;
    }
    ancestors.push_back(*life);
  }
  if (cut != nullptr) *cut = !complete;
  return ancestors;
}

// All lives of a process have the same parent.
std::optional<std::uint32_t> ProcessTree::LivingParent(sl_process_id id) const {
  const std::lock_guard lock(mutex_);
  const ProcessLife* life = store_.FindLife(id);
  for (std::size_t steps = 0; life != nullptr && steps < kMaxSteps; ++steps) {
    bool known = true;
    life = FindParent(*life, &known);
    if (life == nullptr) break;
    const ProcessLife* living = store_.FindLifeByPid(life->pid);
    if (living != nullptr && living->birth_ns == life->birth_ns) return life->pid;
  }
  return std::nullopt;
}

std::vector<ProcessLife> ProcessTree::Living() const {
  const std::lock_guard lock(mutex_);
  std::vector<ProcessLife> living;
  for (const auto& [id, entry] : store_.entries()) {
    if (entry.life.end_ns == 0) living.push_back(entry.life);
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
    return entry.seen != seeding_ && entry.life.start_ns < seed_began_ns_;
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
