#include "kernel/hooks/subjects.h"

#include <cstring>

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
  const auto fd = [&](const char* name) { return programs->map_fd(name); };
  SL_ASSIGN_OR_RETURN(SubjectPlaces places, SubjectPlaces::Create(fd));
  Subjects made(programs, std::move(places));
  SL_ASSIGN_OR_RETURN(made.table_, decltype(table_)::Bind(programs->pages("hook_subjects")));
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

Status Subjects::PutSubject(std::uint32_t number, const Subject& subject) {
  const auto before = known_.find(number);
  if (before != known_.end() && SameFacts((*before).second.subject, subject)) return OkStatus();
  const sl_hook_subject entry = EntryOf(subject);
  SL_RETURN_IF_ERROR(Annotate(table_.Put(number, entry), subject.key));
  known_.insert_or_assign(number, Known{.subject = subject, .entry = entry});
  return OkStatus();
}

Status Subjects::Set(const std::vector<Subject>& subjects, std::vector<std::uint32_t>* gone) {
  const std::size_t before = gone->size();
  const std::function<Status(std::uint32_t, const Subject&)> put = [&](std::uint32_t number, const Subject& subject) {
    return PutSubject(number, subject);
  };
  Status first = places_.Set(subjects, put, gone);
  for (std::size_t i = before; i < gone->size(); ++i) known_.erase((*gone)[i]);
  first.Update(programs_->SubjectsChanged(static_cast<std::uint32_t>(known_.size())));
  return first;
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
