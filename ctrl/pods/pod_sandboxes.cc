#include "ctrl/pods/pod_sandboxes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/log.h"
#include "kernel/net/netns.h"

namespace sluice::pods {
namespace {

using cni::Attachment;
using nlohmann::json;
using node::Sandbox;

constexpr int kFormat = 1;
constexpr const char* kFile = "sandboxes.json";
constexpr const char* kNewSuffix = ".new";  // of a file that is being written

Attachment AttachmentOf(const Sandbox& sandbox) { return {sandbox.id, sandbox.interface}; }

std::string BootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

json SandboxJson(const Sandbox& sandbox) {
  return {
      {"namespace", sandbox.pod.ns}, {"name", sandbox.pod.name},       {"uid", sandbox.uid},      {"id", sandbox.id},
      {"netns", sandbox.netns},      {"interface", sandbox.interface}, {"cgroup", sandbox.cgroup}};
}

std::string TextAt(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// Without an id: it is none.
Sandbox SandboxFrom(const json& object) {
  if (!object.is_object()) return {};
  return {.pod = {TextAt(object, "namespace"), TextAt(object, "name")},
          .uid = TextAt(object, "uid"),
          .id = TextAt(object, "id"),
          .netns = TextAt(object, "netns"),
          .interface = TextAt(object, "interface"),
          .cgroup = TextAt(object, "cgroup")};
}

// What is let go is open: so not while its network namespace is there.
bool IsGone(const std::string& netns) {
  std::error_code failed;
  return !std::filesystem::exists(netns, failed) && !failed;
}

// The path of a process may by now be that of another one.
bool IsAnothers(const Sandbox& sandbox) {
  const auto id = net::NetNs::IdentityOf(sandbox.netns);
  return id.ok() && sandbox.netns.starts_with("/proc/") && std::to_string(id->inode) != sandbox.id;
}

// Adds what PodFinder knows and `known` lacks. True: there was something.
bool Complete(Sandbox& known, const Sandbox& found) {
  const Sandbox before = known;
  if (known.uid.empty()) known.uid = found.uid;
  if (known.cgroup.empty()) known.cgroup = found.cgroup;
  return known != before;
}

Status WriteFile(const std::string& path, const std::string& text) {
  const std::string temporary = path + kNewSuffix;
  const Fd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR));
  if (!fd.valid()) return ErrnoError(errno, "create {}", temporary);
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t written = write(fd.get(), text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoError(errno, "write {}", temporary);
    done += static_cast<std::size_t>(written);
  }
  // Not to disk: what a crash of the machine loses is of another boot then.
  if (rename(temporary.c_str(), path.c_str()) != 0) return ErrnoError(errno, "rename {} to {}", temporary, path);
  return OkStatus();
}

}  // namespace

PodSandboxes::Time PodSandboxes::SinceBoot() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::duration_cast<Time>(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

StatusOr<std::unique_ptr<PodSandboxes>> PodSandboxes::Open(const std::string& directory, Clock clock) {
  struct stat facts {};
  if (stat(directory.c_str(), &facts) != 0) return ErrnoError(errno, "open {}", directory);
  if (!S_ISDIR(facts.st_mode)) return InvalidError("{} is no directory", directory);
  std::unique_ptr<PodSandboxes> opened(new PodSandboxes(directory + "/" + kFile, std::move(clock)));
  opened->Load();
  return opened;
}

void PodSandboxes::Load() {
  std::ifstream file(path_);
  if (!file) return;
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const json root = json::parse(text, nullptr, false);
  if (!root.is_object() || root.value("format", json()) != json(kFormat)) {
    LogWarn("{} cannot be read; the container runtime's list is waited for", path_);
    return;
  }
  if (TextAt(root, "boot") != BootId()) return;
  if (const auto begun = root.find("listBegunMs"); begun != root.end() && begun->is_number_integer()) {
    list_begun_ = Time(begun->get<std::int64_t>());
  }
  const auto list_of = [&](const char* key) {
    const auto found = root.find(key);
    return found != root.end() && found->is_array() ? *found : json::array();
  };
  for (const json& one : list_of("told")) {
    Told told{.value = {.sandbox = SandboxFrom(one), .network = one.is_object() ? TextAt(one, "network") : ""}};
    if (told.value.sandbox.id.empty() || told_.size() >= kMaxTold) continue;
    if (const auto added = one.find("addedMs"); added != one.end() && added->is_number_integer()) {
      told.added = Time(added->get<std::int64_t>());
    }
    told.was_listed = one.find("listed") != one.end() && one["listed"] == true;
    told.order = next_order_++;
    told_.insert_or_assign(AttachmentOf(told.value.sandbox), std::move(told));
  }
  for (const json& one : list_of("listed")) {
    if (Sandbox sandbox = SandboxFrom(one); !sandbox.id.empty()) listed_.push_back(std::move(sandbox));
  }
}

Status PodSandboxes::Save() const {
  std::vector<const Told*> in_order;
  for (const auto& [attachment, told] : told_) in_order.push_back(&told);
  std::sort(in_order.begin(), in_order.end(), [](const Told* a, const Told* b) { return a->order < b->order; });
  json root = {{"format", kFormat},
               {"boot", BootId()},
               {"listBegunMs", list_begun_.count()},
               {"told", json::array()},
               {"listed", json::array()}};
  for (const Told* told : in_order) {
    json one = SandboxJson(told->value.sandbox);
    one["network"] = told->value.network;
    one["addedMs"] = told->added.count();
    one["listed"] = told->was_listed;
    root["told"].push_back(std::move(one));
  }
  for (const Sandbox& sandbox : listed_) root["listed"].push_back(SandboxJson(sandbox));
  return WriteFile(path_, root.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
}

Status PodSandboxes::RemoveFiles(const std::string& directory) {
  for (const char* suffix : {"", kNewSuffix}) {
    const std::string path = directory + "/" + kFile + suffix;
    if (unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoError(errno, "remove {}", path);
  }
  rmdir(directory.c_str());  // fails where something is left
  return OkStatus();
}

void PodSandboxes::SaveOrLog() const {
  if (const Status saved = Save(); !saved.ok()) LogWarn("sandboxes are not saved: {}", Message(saved));
}

Status PodSandboxes::Add(const ToldSandbox& told) {
  const std::lock_guard lock(mutex_);
  const Attachment attachment = AttachmentOf(told.sandbox);
  const auto found = told_.find(attachment);
  if (found == told_.end() && told_.size() >= kMaxTold) {
    return MakeError(absl::StatusCode::kResourceExhausted, "{} sandboxes are known already", kMaxTold);
  }
  removed_.erase(told.sandbox.id);
  // A pod that was added before, and is added again as the plugin did not hear our answer: the age stays.
  if (found != told_.end() && found->second.value.sandbox == told.sandbox) return OkStatus();
  told_.insert_or_assign(attachment, Told{.value = told, .added = clock_(), .order = next_order_++});
  const auto netns = net::NetNs::IdentityOf(told.sandbox.netns);
  const auto is_same = [&](const Sandbox& sandbox) {
    if (!netns.ok() || sandbox.id == told.sandbox.id) return false;
    const auto id = net::NetNs::IdentityOf(sandbox.netns);
    return id.ok() && *id == *netns;
  };
  std::erase_if(listed_, is_same);  // that PodFinder found before
  return Save();
}

bool PodSandboxes::Forget(const Attachment& gone) {
  const bool was_told = told_.erase(gone) > 0;
  const auto is_gone = [&](const Sandbox& sandbox) { return AttachmentOf(sandbox) == gone; };
  const bool was_listed = std::erase_if(listed_, is_gone) > 0;
  removed_[gone.container_id] = clock_();
  return was_told || was_listed;
}

Status PodSandboxes::Remove(const Attachment& gone) {
  const std::lock_guard lock(mutex_);
  if (Forget(gone)) SaveOrLog();
  return OkStatus();
}

Status PodSandboxes::KeepOnly(const std::string& network, const std::vector<Attachment>& valid) {
  const std::lock_guard lock(mutex_);
  const std::set<Attachment> kept(valid.begin(), valid.end());
  std::vector<Attachment> gone;
  for (const auto& [attachment, told] : told_) {
    if (told.value.network == network && kept.count(attachment) == 0) gone.push_back(attachment);
  }
  for (const Attachment& one : gone) Forget(one);
  if (!gone.empty()) SaveOrLog();
  return OkStatus();
}

std::vector<Sandbox> PodSandboxes::KeptBeside(const std::vector<Sandbox>& listed,
                                              const std::set<std::string>& ids) const {
  std::vector<Sandbox> kept;
  for (const Sandbox& one : listed_) {
    const bool lacks = ids.count(one.id) == 0 && !one.netns.empty();
    if (lacks && !IsGone(one.netns) && !IsAnothers(one)) kept.push_back(one);
  }
  if (kept.empty()) return kept;
  std::set<net::NetNs::Identity> namespaces;
  std::set<std::string> uids;
  for (const Sandbox& sandbox : listed) {
    if (const auto id = net::NetNs::IdentityOf(sandbox.netns); id.ok()) namespaces.insert(*id);
    uids.insert(sandbox.uid);
  }
  std::erase_if(kept, [&](const Sandbox& one) {
    const bool is_found = one.pod.name.empty();
    const auto id = net::NetNs::IdentityOf(one.netns);
    return (is_found && uids.count(one.uid) > 0) || (id.ok() && namespaces.count(*id) > 0);
  });
  return kept;
}

void PodSandboxes::SetListed(std::vector<Sandbox> listed, Time begun) {
  const std::lock_guard lock(mutex_);
  if (begun < list_begun_) return;  // an older one that came late
  list_begun_ = begun;
  const auto is_removed = [&](const Sandbox& sandbox) {
    const auto found = removed_.find(sandbox.id);
    return found != removed_.end() && begun <= found->second;
  };
  std::erase_if(listed, is_removed);
  std::erase_if(removed_, [&](const auto& one) { return one.second < begun; });

  std::set<std::string> ids;
  for (const Sandbox& sandbox : listed) ids.insert(sandbox.id);
  std::vector<Sandbox> kept = KeptBeside(listed, ids);
  listed.insert(listed.begin(), std::make_move_iterator(kept.begin()), std::make_move_iterator(kept.end()));
  bool changed = listed != listed_;
  for (auto one = told_.begin(); one != told_.end();) {
    Told& told = one->second;
    if (ids.count(one->first.container_id) > 0) {
      changed |= !told.was_listed;
      told.was_listed = true;
      told.missed = 0;
    } else if (told.was_listed ? begun > told.added : begun >= told.added + kTrustAfter) {
      ++told.missed;
    }
    if (told.missed >= (told.was_listed ? 1 : 2) && IsGone(told.value.sandbox.netns)) {
      one = told_.erase(one);
      changed = true;
    } else {
      ++one;
    }
  }
  listed_ = std::move(listed);
  if (changed) SaveOrLog();
}

void PodSandboxes::SetFound(std::vector<Sandbox> found, Time begun) {
  const std::lock_guard lock(mutex_);
  if (begun < list_begun_) return;
  list_begun_ = begun;
  std::erase_if(removed_, [&](const auto& one) { return one.second < begun; });
  const auto is_gone = [](const Sandbox& sandbox) { return IsGone(sandbox.netns) || IsAnothers(sandbox); };
  bool changed = std::erase_if(listed_, is_gone) > 0;
  // ADD is told of a namespace that is there; twice, as in SetListed.
  for (auto& [attachment, told] : told_) told.missed = IsGone(told.value.sandbox.netns) ? told.missed + 1 : 0;
  changed |= std::erase_if(told_, [](const auto& one) { return one.second.missed >= 2; }) > 0;

  std::multimap<net::NetNs::Identity, Sandbox*> known;  // several: a sandbox with several interfaces
  const auto add = [&](Sandbox& sandbox) {
    if (const auto id = net::NetNs::IdentityOf(sandbox.netns); id.ok()) known.emplace(*id, &sandbox);
  };
  for (Sandbox& sandbox : listed_) add(sandbox);
  for (auto& [attachment, told] : told_) add(told.value.sandbox);
  // A visitor's process may be in another pod's namespace. `found` begins with the pod that was there first: it has it.
  std::vector<Sandbox> more;
  more.reserve(found.size());  // `known` points into it
  for (Sandbox& one : found) {
    const auto id = net::NetNs::IdentityOf(one.netns);
    auto [same, end] = id.ok() ? known.equal_range(*id) : std::pair(known.end(), known.end());
    if (same == end) {
      more.push_back(std::move(one));
      if (id.ok()) known.emplace(*id, &more.back());
      continue;
    }
    for (; same != end; ++same) changed |= Complete(*same->second, one);
  }
  changed |= !more.empty();
  listed_.insert(listed_.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  if (changed) SaveOrLog();
}

std::vector<Sandbox> PodSandboxes::Join() const {
  std::vector<Sandbox> joined;
  std::vector<std::uint64_t> orders;  // of the ADD; 0: the plugin did not tell of it
  std::set<Attachment> done;
  std::set<policy::ObjectName> pods;
  for (const Sandbox& sandbox : listed_) {
    const auto told = told_.find(AttachmentOf(sandbox));
    const bool is_told = told != told_.end();
    // A list that was begun before the ADD knows less.
    joined.push_back(is_told && told->second.added > list_begun_ ? told->second.value.sandbox : sandbox);
    orders.push_back(is_told ? told->second.order : 0);
    done.insert(AttachmentOf(sandbox));
    pods.insert(sandbox.pod);
  }
  std::vector<const Told*> rest;
  for (const auto& [attachment, told] : told_) {
    if (done.count(attachment) == 0) rest.push_back(&told);
  }
  std::sort(rest.begin(), rest.end(), [](const Told* a, const Told* b) { return a->order < b->order; });
  for (const Told* told : rest) {
    // Before the first of its pod that was added later.
    std::size_t at = pods.insert(told->value.sandbox.pod).second ? joined.size() : 0;
    while (at < joined.size() && !(joined[at].pod == told->value.sandbox.pod && orders[at] > told->order)) ++at;
    joined.insert(joined.begin() + static_cast<std::ptrdiff_t>(at), told->value.sandbox);
    orders.insert(orders.begin() + static_cast<std::ptrdiff_t>(at), told->order);
  }
  return joined;
}

std::vector<Sandbox> PodSandboxes::All() const {
  const std::lock_guard lock(mutex_);
  return Join();
}

bool PodSandboxes::Knows(const Attachment& one) const {
  const std::lock_guard lock(mutex_);
  const auto is_one = [&](const Sandbox& sandbox) { return AttachmentOf(sandbox) == one; };
  return told_.count(one) > 0 || std::any_of(listed_.begin(), listed_.end(), is_one);
}

}  // namespace sluice::pods
