#include "telemetry/process/process_store.h"

#include <algorithm>

namespace sluice::telemetry {
namespace {

std::size_t BytesOf(const ProcessImage& image) {
  std::size_t bytes = sizeof(image) + image.binary.size() + image.script.size() + image.argument0.size() +
                      image.working_directory.size();
  for (const std::string& argument : image.arguments) bytes += sizeof(std::string) + argument.size();
  return bytes;
}

}  // namespace

policy::ObjectName ProcessStore::OwnerOf(const ProcessInstance& instance) const {
  return options_.owner ? options_.owner(instance) : policy::ObjectName{};
}

ProcessStore::Entry* ProcessStore::Add(ProcessInstance instance, const policy::ObjectName& owner) {
  if (instances_.size() >= options_.max_instances && !MakeRoom(owner, instance.end_ns == 0)) {
    stats_.refused++;
    return nullptr;
  }
  const sl_process_id id = instance.id;
  // A later instance with this pid may be known already: then this one has ended.
  const auto [newest, added] = by_pid_.try_emplace(instance.pid, id);
  if (!added && newest->second < id) newest->second = id;
  Entry& entry = instances_.emplace(id, Entry{.instance = std::move(instance), .share = {}}).first->second;
  EnterShare(entry, owner);
  return &entry;
}

void ProcessStore::EnterShare(Entry& entry, const policy::ObjectName& owner) {
  entry.share = shares_.try_emplace(owner).first;
  Share& share = entry.share->second;
  const ProcessInstance& instance = entry.instance;
  if (instance.end_ns == 0) {
    share.living.insert(instance.id);
  } else {
    (references_.contains(instance.id) ? share.referenced : share.unreferenced).insert({instance.end_ns, instance.id});
  }
}

void ProcessStore::LeaveShare(Entry& entry) {
  Share& share = entry.share->second;
  const ProcessInstance& instance = entry.instance;
  share.living.erase(instance.id);
  share.unreferenced.erase({instance.end_ns, instance.id});
  share.referenced.erase({instance.end_ns, instance.id});
}

bool ProcessStore::MoveToItsOwner(Entry& entry) {
  if (entry.instance.incomplete) return false;
  const policy::ObjectName owner = OwnerOf(entry.instance);
  if (owner == entry.share->first) return false;
  LeaveShare(entry);
  EnterShare(entry, owner);
  return true;
}

ProcessStore::Entry* ProcessStore::Find(sl_process_id id) {
  const auto found = instances_.find(id);
  return found == instances_.end() ? nullptr : &found->second;
}

const ProcessInstance* ProcessStore::FindInstance(sl_process_id id) const {
  const auto found = instances_.find(id);
  return found == instances_.end() ? nullptr : &found->second.instance;
}

ProcessStore::Entry* ProcessStore::FindByPid(std::uint32_t pid) {
  const auto found = by_pid_.find(pid);
  return found == by_pid_.end() ? nullptr : Find(found->second);
}

const ProcessInstance* ProcessStore::FindLifeByPid(std::uint32_t pid) const {
  const auto found = by_pid_.find(pid);
  return found == by_pid_.end() ? nullptr : FindInstance(found->second);
}

// Counts references to `id`, which may be of an instance that comes later or has been evicted.
void ProcessStore::Refer(sl_process_id id, int by) {
  if (id == 0) return;
  const auto found = references_.try_emplace(id, 0).first;
  const bool was = found->second != 0;
  found->second += by;
  const bool is = found->second != 0;
  if (!is) references_.erase(found);
  const Entry* entry = Find(id);
  if (entry == nullptr || entry->instance.end_ns == 0 || was == is) return;
  const auto key = std::make_pair(entry->instance.end_ns, id);
  Share& share = entry->share->second;
  (was ? share.referenced : share.unreferenced).erase(key);
  (is ? share.referenced : share.unreferenced).insert(key);
}

void ProcessStore::SetAncestors(Entry& entry, sl_process_id parent, sl_process_id previous) {
  const auto set = [&](sl_process_id& field, sl_process_id id) {
    if (id == 0 || id == field || id == entry.instance.id) return;
    Refer(field, -1);
    field = id;
    Refer(field, +1);
  };
  set(entry.instance.parent, parent);
  set(entry.instance.previous, previous);
}

void ProcessStore::End(Entry& entry, std::uint64_t end_ns, std::optional<std::uint32_t> wait_status) {
  ProcessInstance& instance = entry.instance;
  Share& share = entry.share->second;
  Ended& ended = references_.contains(instance.id) ? share.referenced : share.unreferenced;
  share.living.erase(instance.id);
  ended.erase({instance.end_ns, instance.id});
  instance.end_ns = std::max<std::uint64_t>(end_ns, 1);
  instance.wait_status = wait_status;
  ended.insert({instance.end_ns, instance.id});
  const auto found = by_pid_.find(instance.pid);
  if (found != by_pid_.end() && found->second == instance.id) by_pid_.erase(found);
}

void ProcessStore::EndIf(const std::function<bool(const Entry&)>& is_over, std::uint64_t end_ns) {
  for (auto& [id, entry] : instances_) {
    if (entry.instance.end_ns == 0 && is_over(entry)) End(entry, end_ns, std::nullopt);
  }
}

std::shared_ptr<const ProcessImage> ProcessStore::KeepImage(std::unique_ptr<ProcessImage> image, const Share& share,
                                                            bool* has_lost_arguments) {
  *has_lost_arguments = !HasRoom(share, BytesOf(*image), options_.max_image_bytes / 4 * 3) && !image->arguments.empty();
  if (*has_lost_arguments) {
    image->arguments.clear();
    image->arguments.shrink_to_fit();
    stats_.arguments_left++;
  }
  const std::size_t bytes = BytesOf(*image);
  if (!HasRoom(share, bytes, options_.max_image_bytes)) return nullptr;
  *image_bytes_ += bytes;
  *share.image_bytes += bytes;
  return {image.release(), [total = image_bytes_, own = share.image_bytes, bytes](const ProcessImage* held) {
            *total -= bytes;
            *own -= bytes;
            delete held;
          }};
}

bool ProcessStore::HasRoom(const Share& share, std::size_t bytes, std::size_t of) const {
  const std::size_t all = *image_bytes_ + bytes;
  return all <= of / 2 || (all <= of && *share.image_bytes + bytes <= of / 2 / shares_.size());
}

void ProcessStore::Remove(sl_process_id id) {
  const auto found = instances_.find(id);
  if (found == instances_.end()) return;
  const ProcessInstance& instance = found->second.instance;
  if (const auto now = by_pid_.find(instance.pid); now != by_pid_.end() && now->second == id) by_pid_.erase(now);
  LeaveShare(found->second);
  const sl_process_id parent = instance.parent, previous = instance.previous;
  instances_.erase(found);
  Refer(parent, -1);
  Refer(previous, -1);
}

// Removes one instance of the largest share: the one that ended first, preferably one without descendants (else their
// ancestry gets a gap). If all of them are alive, the newest is removed; false if that is the new instance, or if the
// new instance has ended.
bool ProcessStore::MakeRoom(const policy::ObjectName& owner, bool living) {
  while (true) {
    auto most = std::max_element(shares_.begin(), shares_.end(),
                                 [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
    if (const auto own = shares_.find(owner); own != shares_.end() && own->second.size() == most->second.size()) {
      most = own;
    }
    const Share& share = most->second;
    const Ended& ended = share.unreferenced.empty() ? share.referenced : share.unreferenced;
    const bool instances = ended.empty();
    if (instances && (!living || most->first == owner)) return false;
    Entry& gives = *Find(instances ? *share.living.rbegin() : ended.begin()->second);
    if (MoveToItsOwner(gives)) continue;
    Remove(gives.instance.id);
    (instances ? stats_.refused : stats_.evicted)++;
    return true;
  }
}

void ProcessStore::Expire(std::uint64_t now_ns) {
  for (auto it = shares_.begin(); it != shares_.end();) {
    Share& share = it->second;
    while (!share.unreferenced.empty() && share.unreferenced.begin()->first + options_.grace_ns <= now_ns) {
      Remove(share.unreferenced.begin()->second);  // may add its parent to this set
    }
    it = share.size() == 0 && *share.image_bytes == 0 ? shares_.erase(it) : std::next(it);
  }
}

ProcessStore::Stats ProcessStore::stats() const {
  Stats stats = stats_;
  stats.instances = instances_.size();
  stats.image_bytes = *image_bytes_;
  return stats;
}

}  // namespace sluice::telemetry
