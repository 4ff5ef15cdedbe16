#include "kernel/hooks/subjects.h"

#include <cstring>
#include <set>

namespace sluice::hooks {
namespace {

constexpr std::uint32_t kHost = 0;

void SetScope(sl_hook_subject& entry, std::uint32_t scope, bool included) {
  __u64& word = entry.scopes[scope / 64];
  const __u64 bit = __u64{1} << scope % 64;
  word = included ? word | bit : word & ~bit;
}

bool Includes(const ScopeInForce& scope, const Subject& subject) {
  return policy::tracing::Includes(scope.policy->scopes[scope.index], scope.policy->policy->name, subject.facts);
}

bool SameFacts(const Subject& a, const Subject& b) {
  const auto& x = a.facts;
  const auto& y = b.facts;
  return a.endpoint == b.endpoint && x.host == y.host && x.ns == y.ns && x.labels == y.labels &&
         x.container == y.container && x.repository == y.repository;
}

bool Differs(const sl_hook_subject& a, const sl_hook_subject& b) { return std::memcmp(&a, &b, sizeof(a)) != 0; }

}  // namespace

StatusOr<Subjects> Subjects::Create(bpf::HookPrograms* programs) {
  Subjects made(programs);
  const auto fd = [&](const char* name) { return programs->map_fd(name); };
  SL_ASSIGN_OR_RETURN(made.table_, decltype(table_)::Bind(programs->pages("hook_subjects")));
  SL_ASSIGN_OR_RETURN(made.cgroups_, decltype(cgroups_)::Bind(fd("hook_cgroups"), "hook_cgroups"));
  SL_ASSIGN_OR_RETURN(made.netns_, decltype(netns_)::Bind(fd("hook_netns"), "hook_netns"));
  SL_ASSIGN_OR_RETURN(made.shares_, decltype(shares_)::Bind(fd("hook_event_shares"), "hook_event_shares"));
  Subject host;
  host.facts.host = true;
  Known known{.subject = host, .entry = made.EntryOf(host)};
  SL_RETURN_IF_ERROR(made.table_.Put(kHost, known.entry));
  made.known_.emplace(kHost, std::move(known));
  return made;
}

sl_hook_subject Subjects::EntryOf(const Subject& subject) const {
  sl_hook_subject entry{};
  entry.endpoint = subject.endpoint;
  SetScope(entry, kEverything, true);
  for (const auto& [number, scope] : scopes_) SetScope(entry, number, Includes(scope, subject));
  return entry;
}

StatusOr<std::uint32_t> Subjects::NumberOf(const std::string& key) {
  if (const auto known = numbers_.find(key); known != numbers_.end()) return (*known).second;
  SL_ASSIGN_OR_RETURN(const Range place, places_.Take(1));
  // The one that had the number before may have used up its share of the ring.
  if (const Status status = shares_.Put(place.first, 0); !status.ok()) {
    places_.Release(place);
    return status;
  }
  numbers_.emplace(key, place.first);
  return place.first;
}

Status Subjects::PutSubject(const Subject& subject) {
  SL_ASSIGN_OR_RETURN(const std::uint32_t number, NumberOf(subject.key));
  const auto before = known_.find(number);
  if (before != known_.end() && SameFacts((*before).second.subject, subject)) return OkStatus();
  const sl_hook_subject entry = EntryOf(subject);
  SL_RETURN_IF_ERROR(Annotate(table_.Put(number, entry), subject.key));
  known_.insert_or_assign(number, Known{.subject = subject, .entry = entry});
  return OkStatus();
}

// Entries that change are put over the old ones, so that a process always has one subject or the other.
template <typename Key>
Status Subjects::Replace(const bpf::Map<Key, std::uint32_t>& map, const Entries& wanted, Entries* known) {
  Status first;
  for (const auto& [key, number] : wanted) {
    const auto now = known->find(key);
    if (now != known->end() && (*now).second == number) continue;
    if (const Status put = map.Put(static_cast<Key>(key), number); put.ok()) {
      known->insert_or_assign(key, number);
    } else {
      first.Update(put);
    }
  }
  for (auto entry = known->begin(); entry != known->end();) {
    if (wanted.contains((*entry).first)) {
      ++entry;
      continue;
    }
    first.Update(map.Delete(static_cast<Key>((*entry).first)));
    entry = known->erase(entry);
  }
  return first;
}

Status Subjects::Set(const std::vector<Subject>& subjects, std::vector<std::uint32_t>* gone) {
  Status first;
  Entries cgroups, netns;
  std::set<std::string> keys;
  for (const Subject& subject : subjects) {
    keys.insert(subject.key);
    if (const Status put = PutSubject(subject); !put.ok()) {
      first.Update(put);
      continue;
    }
    const std::uint32_t number = numbers_.at(subject.key);
    for (const std::uint64_t id : subject.cgroups) cgroups.emplace(id, number);
    for (const std::uint32_t inode : subject.netns) netns.emplace(inode, number);
  }
  first.Update(Replace(cgroups_, cgroups, &known_cgroups_));
  first.Update(Replace(netns_, netns, &known_netns_));
  for (auto known = numbers_.begin(); known != numbers_.end();) {
    if (keys.contains((*known).first)) {
      ++known;
      continue;
    }
    gone->push_back((*known).second);
    known_.erase((*known).second);
    known = numbers_.erase(known);
  }
  first.Update(programs_->SubjectsChanged(static_cast<std::uint32_t>(known_.size())));
  return first;
}

void Subjects::Release(const std::vector<std::uint32_t>& gone) {
  for (const std::uint32_t number : gone) places_.Release({number, 1});
}

Status Subjects::AddScopes(const std::map<std::uint32_t, ScopeInForce>& scopes) {
  std::vector<std::uint32_t> numbers;
  std::vector<sl_hook_subject> entries;
  for (auto& [number, known] : known_) {
    sl_hook_subject entry = known.entry;
    for (const auto& [scope, in_force] : scopes) SetScope(entry, scope, Includes(in_force, known.subject));
    if (!Differs(entry, known.entry)) continue;
    numbers.push_back(number);
    entries.push_back(entry);
  }
  for (std::size_t i = 0; i < numbers.size(); ++i) SL_RETURN_IF_ERROR(table_.Put(numbers[i], entries[i]));
  for (std::size_t i = 0; i < numbers.size(); ++i) known_.at(numbers[i]).entry = entries[i];
  for (const auto& [scope, in_force] : scopes) scopes_.insert_or_assign(scope, in_force);
  return OkStatus();
}

std::string Subjects::KeyOf(std::uint32_t number) const {
  const auto known = known_.find(number);
  return known == known_.end() ? "" : (*known).second.subject.key;
}

}  // namespace sluice::hooks
