#include "telemetry/process/process_tree.h"

#include <algorithm>
#include <cstring>

namespace sluice::telemetry {
namespace {

std::size_t BytesOf(const ProcessImage& image) {
  std::size_t bytes = sizeof(image) + image.binary.size() + image.script.size() + image.argument0.size() +
                      image.working_directory.size();
  for (const std::string& argument : image.arguments) bytes += sizeof(std::string) + argument.size();
  return bytes;
}

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
  Entry* entry = FindEntry(header.id);
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
    SetAncestors(*entry, header.parent, record.start.previous);
  }
  if (!is_new) MoveToItsOwner(*entry);
  ProcessLife told = entry->life;
  if (record.event() == SL_PROCESS_EVENT_EXEC) EndPrevious(record);  // may make room, also by this entry
  return told;
}

// The exit of a life that was never told of is remembered, so that the iterator's late record does not revive it.
std::optional<ProcessLife> ProcessTree::ApplyExit(const ProcessRecord& record) {
  const sl_process_header& header = record.header();
  Entry* entry = header.id != 0 ? FindEntry(header.id) : FindByBirth(header);
  if (entry == nullptr && header.id == 0) return std::nullopt;
  if (entry == nullptr) {
    EndOlder(header);
    ProcessLife over = Identify(header);
    over.end_ns = header.time_ns;
    entry = Add(std::move(over), OwnerOf(record));
    if (entry != nullptr) SetAncestors(*entry, header.parent, 0);
  }
  if (entry == nullptr) {  // no room: the event can be told, not kept
    ProcessLife passing = Identify(header);
    passing.end_ns = header.time_ns;
    passing.wait_status = record.wait_status;
    return passing;
  }
  if (entry->life.end_ns != 0 && entry->life.wait_status) return std::nullopt;
  End(*entry, header.time_ns, record.wait_status);
  return entry->life;
}

// The kernel's table was full and had no id for the process.
ProcessTree::Entry* ProcessTree::FindByBirth(const sl_process_header& header) {
  const auto found = by_pid_.find(header.pid);
  Entry* entry = found == by_pid_.end() ? nullptr : FindEntry(found->second);
  return entry != nullptr && entry->life.birth_ns == header.birth_ns ? entry : nullptr;
}

// What the tree has under this pid began before: its end was lost.
void ProcessTree::EndOlder(const sl_process_header& header) {
  const auto found = by_pid_.find(header.pid);
  if (found == by_pid_.end() || found->second >= header.id) return;
  if (Entry* entry = FindEntry(found->second); entry != nullptr) End(*entry, header.start_ns, std::nullopt);
}

// What ran under this pid until now: the life that an exec replaced, or one whose end was lost.
void ProcessTree::EndPrevious(const ProcessRecord& record) {
  const sl_process_header& header = record.header();
  const sl_process_id previous = record.start.previous;
  if (previous != 0 && FindEntry(previous) == nullptr) {
    ProcessLife stub = Identify(header);  // so that a late record of the iterator finds it ended
    stub.id = previous;
    stub.start_ns = header.birth_ns;
    stub.end_ns = header.start_ns;
    stub.flags = 0;
    Entry* entry = Add(std::move(stub), OwnerOf(record));
    if (entry != nullptr) SetAncestors(*entry, header.parent, 0);
  }
  if (Entry* entry = FindEntry(previous); entry != nullptr && entry->life.end_ns == 0) {
    End(*entry, header.start_ns, std::nullopt);
  }
  EndOlder(header);
}

policy::ObjectName ProcessTree::OwnerOf(const ProcessLife& life) const {
  return options_.owner ? options_.owner(life) : policy::ObjectName{};
}

// An exit does not tell it: as that of the life before, or of who forked the process.
policy::ObjectName ProcessTree::OwnerOf(const ProcessRecord& record) {
  const sl_process_header& header = record.header();
  const Entry* near = FindEntry(record.start.previous);
  if (near == nullptr) near = FindEntry(header.parent);
  if (record.event() == SL_PROCESS_EVENT_EXIT) return near == nullptr ? policy::ObjectName{} : near->share->first;
  ProcessLife life = Identify(header);
  FillChangeable(life, record);
  if (life.cgroup_path == nullptr && near != nullptr && near->life.cgroup == life.cgroup) {
    life.cgroup_path = near->life.cgroup_path;
  }
  return OwnerOf(life);
}

ProcessTree::Entry* ProcessTree::Add(ProcessLife life, const policy::ObjectName& owner) {
  if (lives_.size() >= options_.max_lives && !MakeRoom(owner, life.end_ns == 0)) {
    stats_.refused++;
    return nullptr;
  }
  const sl_process_id id = life.id;
  // A later life of the pid may be known already: then this one is over.
  const auto [newest, added] = by_pid_.try_emplace(life.pid, id);
  if (!added && newest->second < id) newest->second = id;
  Entry& entry = lives_.emplace(id, Entry{.life = std::move(life), .share = {}, .seen = seeding_}).first->second;
  EnterShare(entry, owner);
  return &entry;
}

void ProcessTree::EnterShare(Entry& entry, const policy::ObjectName& owner) {
  entry.share = shares_.try_emplace(owner).first;
  Share& share = entry.share->second;
  const ProcessLife& life = entry.life;
  if (life.end_ns == 0) {
    share.living.insert(life.id);
  } else {
    (references_.contains(life.id) ? share.referenced : share.unreferenced).insert({life.end_ns, life.id});
  }
}

void ProcessTree::LeaveShare(Entry& entry) {
  Share& share = entry.share->second;
  const ProcessLife& life = entry.life;
  share.living.erase(life.id);
  share.unreferenced.erase({life.end_ns, life.id});
  share.referenced.erase({life.end_ns, life.id});
}

// Workloads become known after their processes, and a process may go elsewhere. False: it was there.
bool ProcessTree::MoveToItsOwner(Entry& entry) {
  if (entry.life.incomplete) return false;
  const policy::ObjectName owner = OwnerOf(entry.life);
  if (owner == entry.share->first) return false;
  LeaveShare(entry);
  EnterShare(entry, owner);
  return true;
}

ProcessTree::Entry* ProcessTree::FindEntry(sl_process_id id) {
  const auto found = lives_.find(id);
  return found == lives_.end() ? nullptr : &found->second;
}

const ProcessLife* ProcessTree::FindLife(sl_process_id id) const {
  const auto found = lives_.find(id);
  return found == lives_.end() ? nullptr : &found->second.life;
}

// Of a life that may come later, or has been evicted.
void ProcessTree::Refer(sl_process_id id, int by) {
  if (id == 0) return;
  const auto found = references_.try_emplace(id, 0).first;
  const bool was = found->second != 0;
  found->second += by;
  const bool is = found->second != 0;
  if (!is) references_.erase(found);
  const Entry* entry = FindEntry(id);
  if (entry == nullptr || entry->life.end_ns == 0 || was == is) return;
  const auto key = std::make_pair(entry->life.end_ns, id);
  Share& share = entry->share->second;
  (was ? share.referenced : share.unreferenced).erase(key);
  (is ? share.referenced : share.unreferenced).insert(key);
}

void ProcessTree::SetAncestors(Entry& entry, sl_process_id parent, sl_process_id previous) {
  const auto set = [&](sl_process_id& field, sl_process_id id) {
    if (id == 0 || id == field || id == entry.life.id) return;
    Refer(field, -1);
    field = id;
    Refer(field, +1);
  };
  set(entry.life.parent, parent);
  set(entry.life.previous, previous);
}

void ProcessTree::End(Entry& entry, std::uint64_t end_ns, std::optional<std::uint32_t> wait_status) {
  ProcessLife& life = entry.life;
  Share& share = entry.share->second;
  Ended& ended = references_.contains(life.id) ? share.referenced : share.unreferenced;
  share.living.erase(life.id);
  ended.erase({life.end_ns, life.id});
  life.end_ns = std::max<std::uint64_t>(end_ns, 1);
  life.wait_status = wait_status;
  ended.insert({life.end_ns, life.id});
  const auto found = by_pid_.find(life.pid);
  if (found != by_pid_.end() && found->second == life.id) by_pid_.erase(found);
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
void ProcessTree::FillImage(ProcessLife& life, const ProcessRecord& record, const Share* share) {
  if (record.event() == SL_PROCESS_EVENT_FORK) {
    const ProcessLife* parent = FindLife(record.header().parent);
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
    const ProcessLife* env = FindLife(record.start.previous);
    if (env != nullptr && env->image != nullptr) image->script = env->image->script;
  }
  if (!HasRoom(share, BytesOf(*image), options_.max_image_bytes / 4 * 3) && !image->arguments.empty()) {
    image->arguments.clear();
    image->arguments.shrink_to_fit();
    life.flags |= SL_PROCESS_ARGUMENTS_TRUNCATED;
    stats_.arguments_left++;
  }
  const std::size_t bytes = BytesOf(*image);
  if (!HasRoom(share, bytes, options_.max_image_bytes)) return;
  if (share == nullptr) {
    life.image = std::move(image);
    return;
  }
  *image_bytes_ += bytes;
  *share->image_bytes += bytes;
  life.image = {image.release(), [total = image_bytes_, own = share->image_bytes, bytes](const ProcessImage* held) {
                  *total -= bytes;
                  *own -= bytes;
                  delete held;
                }};
}

bool ProcessTree::HasRoom(const Share* share, std::size_t bytes, std::size_t of) const {
  if (share == nullptr) return true;
  const std::size_t all = *image_bytes_ + bytes;
  return all <= of / 2 || (all <= of && *share->image_bytes + bytes <= of / 2 / shares_.size());
}

void ProcessTree::Remove(sl_process_id id) {
  const auto found = lives_.find(id);
  if (found == lives_.end()) return;
  const ProcessLife& life = found->second.life;
  if (const auto now = by_pid_.find(life.pid); now != by_pid_.end() && now->second == id) by_pid_.erase(now);
  LeaveShare(found->second);
  const sl_process_id parent = life.parent, previous = life.previous;
  lives_.erase(found);
  Refer(parent, -1);
  Refer(previous, -1);
}

// By whoever has most: his oldest end, and last one that others descend from, which leaves a gap in their ancestry.
// Where all of his live, the newest is not kept; false: that is the one that comes, or what comes has ended.
bool ProcessTree::MakeRoom(const policy::ObjectName& owner, bool living) {
  while (true) {
    auto most = std::max_element(shares_.begin(), shares_.end(),
                                 [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
    if (const auto own = shares_.find(owner); own != shares_.end() && own->second.size() == most->second.size()) {
      most = own;
    }
    const Share& share = most->second;
    const Ended& ended = share.unreferenced.empty() ? share.referenced : share.unreferenced;
    const bool lives = ended.empty();
    if (lives && (!living || most->first == owner)) return false;
    Entry& gives = *FindEntry(lives ? *share.living.rbegin() : ended.begin()->second);
    if (MoveToItsOwner(gives)) continue;
    Remove(gives.life.id);
    (lives ? stats_.refused : stats_.evicted)++;
    return true;
  }
}

std::optional<ProcessLife> ProcessTree::Find(sl_process_id id) const {
  const std::lock_guard lock(mutex_);
  const ProcessLife* life = FindLife(id);
  return life == nullptr ? std::nullopt : std::optional(*life);
}

std::optional<ProcessLife> ProcessTree::FindByPid(std::uint32_t pid) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_pid_.find(pid);
  const ProcessLife* life = found == by_pid_.end() ? nullptr : FindLife(found->second);
  return life == nullptr ? std::nullopt : std::optional(*life);
}

// Who forked the life's process. Where that is not known, as of a daemon after a restart of the agent, who would reap
// it now. `known` false: it is not the one that forked, or nobody although there was one.
const ProcessLife* ProcessTree::FindParent(const ProcessLife& life, bool* known) const {
  const ProcessLife* parent = FindLife(life.parent);
  *known = parent != nullptr || (life.parent == 0 ? life.parent_pid == 0 : life.parent == first_);
  if (parent != nullptr || life.parent_pid == 0) return parent;
  const auto found = by_pid_.find(life.parent_pid);
  const ProcessLife* reaper = found == by_pid_.end() || found->second == life.id ? nullptr : FindLife(found->second);
  // Who was born later only has the pid of the one that went.
  return reaper != nullptr && reaper->birth_ns < life.birth_ns ? reaper : nullptr;
}

std::vector<ProcessLife> ProcessTree::Ancestors(sl_process_id id, std::size_t max, bool* cut) const {
  const std::lock_guard lock(mutex_);
  std::vector<ProcessLife> ancestors;
  bool complete = true;
  const ProcessLife* life = FindLife(id);
  for (std::size_t steps = 0; life != nullptr; ++steps) {
    if (steps == kMaxSteps) {
      complete = false;
      break;
    }
    const ProcessLife* const of = life;
    const ProcessLife* previous = FindLife(life->previous);
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
  const ProcessLife* life = FindLife(id);
  for (std::size_t steps = 0; life != nullptr && steps < kMaxSteps; ++steps) {
    bool known = true;
    life = FindParent(*life, &known);
    if (life == nullptr) break;
    const auto now = by_pid_.find(life->pid);
    const ProcessLife* living = now == by_pid_.end() ? nullptr : FindLife(now->second);
    if (living != nullptr && living->birth_ns == life->birth_ns) return life->pid;
  }
  return std::nullopt;
}

std::vector<ProcessLife> ProcessTree::Living() const {
  const std::lock_guard lock(mutex_);
  std::vector<ProcessLife> living;
  for (const auto& [id, entry] : lives_) {
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
  for (auto& [id, entry] : lives_) {
    const bool untold = entry.seen != seeding_ && entry.life.start_ns < seed_began_ns_;
    if (entry.life.end_ns == 0 && untold) End(entry, now_ns, std::nullopt);
  }
}

void ProcessTree::SetFirst(sl_process_id id) {
  const std::lock_guard lock(mutex_);
  first_ = id;
}

void ProcessTree::Expire(std::uint64_t now_ns) {
  const std::lock_guard lock(mutex_);
  for (auto it = shares_.begin(); it != shares_.end();) {
    Share& share = it->second;
    while (!share.unreferenced.empty() && share.unreferenced.begin()->first + options_.grace_ns <= now_ns) {
      Remove(share.unreferenced.begin()->second);  // may make its parent the next
    }
    it = share.size() == 0 && *share.image_bytes == 0 ? shares_.erase(it) : std::next(it);
  }
}

ProcessTree::Stats ProcessTree::stats() const {
  const std::lock_guard lock(mutex_);
  Stats stats = stats_;
  stats.lives = lives_.size();
  stats.image_bytes = *image_bytes_;
  return stats;
}

}  // namespace sluice::telemetry
