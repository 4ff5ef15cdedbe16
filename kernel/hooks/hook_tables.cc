#include "kernel/hooks/hook_tables.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <set>

#include "base/log.h"
#include "kernel/bpf/kernel_types.h"
#include "kernel/bpf/system.h"
#include "kernel/bpf/system_call.h"

namespace sluice::hooks {
namespace {

using policy::ObjectName;
using policy::tracing::CompiledHook;
using policy::tracing::CompiledPolicy;
using policy::tracing::HookPoint;
using policy::tracing::Scope;

// Records of a policy that is gone may be in the ring for as long as its reader takes.
constexpr std::chrono::seconds kNamesKept{30};
constexpr std::size_t kMostNamesKept = 256;

constexpr std::size_t kPointBytes = SL_HOOK_POINTS * sizeof(sl_hook_point);

bool IncludesEverything(const Scope& scope, const ObjectName& policy) {
  return policy.ns.empty() && !scope.pods && !scope.containers && !scope.host;
}

// One point for all names of a system call.
HookPoint InThisKernel(HookPoint point) {
  if (point.kind == HookPoint::Kind::kSyscall || point.kind == HookPoint::Kind::kDenyingSyscall)
    point.name = bpf::FindSystemCall(point.name).name;
  return point;
}

// Programs that are loaded for one point need to know what arguments it has.
bool NeedsTypes(const HookPoint& point) {
  return point.kind != HookPoint::Kind::kFunction && point.kind != HookPoint::Kind::kSyscall;
}

std::vector<std::uint32_t> Numbers(Range range) {
  std::vector<std::uint32_t> numbers(range.count);
  std::iota(numbers.begin(), numbers.end(), range.first);
  return numbers;
}

bool NeedsExecs(const CompiledPolicy& policy) {
  return std::ranges::any_of(policy.hooks,
                             [](const CompiledHook& hook) { return (hook.hook.flags & SL_HOOK_NEEDS_EXECS) != 0; });
}

sl_hook_policy PolicyOf(PolicyState state, std::uint32_t life) {
  return {.flags =
              (state.enabled ? __u32{SL_HOOK_POLICY_ENABLED} : 0) | (state.monitor ? __u32{SL_HOOK_POLICY_MONITOR} : 0),
          .life = life};
}

}  // namespace

StatusOr<std::unique_ptr<HookTables>> HookTables::Create(bpf::HookPrograms* programs) {
  SL_ASSIGN_OR_RETURN(Subjects subjects, Subjects::Create(programs));
  std::unique_ptr<HookTables> tables(new HookTables(programs, std::move(subjects)));
  SL_RETURN_IF_ERROR(tables->Bind());
  return tables;
}

HookTables::~HookTables() {
  if (point_words_ != nullptr) munmap(point_words_, kPointBytes);
}

Status HookTables::Bind() {
  const auto bind = [&](const char* name, auto* map) -> Status {
    SL_ASSIGN_OR_RETURN(*map, std::remove_pointer_t<decltype(map)>::Bind(programs_->map_fd(name), name));
    return OkStatus();
  };
  SL_RETURN_IF_ERROR(bind("hook_list", &list_));
  SL_RETURN_IF_ERROR(bind("hook_columns", &columns_));
  SL_RETURN_IF_ERROR(bind("hook_policies", &policies_));
  const auto bind_pages = [&](const char* name, auto* array) -> Status {
    SL_ASSIGN_OR_RETURN(*array, std::remove_pointer_t<decltype(array)>::Bind(programs_->pages(name)));
    return OkStatus();
  };
  SL_RETURN_IF_ERROR(bind_pages("hook_slots", &slots_));
  SL_RETURN_IF_ERROR(bind_pages("hooks", &hooks_));
  SL_RETURN_IF_ERROR(bind_pages("hook_selectors", &selectors_));
  SL_RETURN_IF_ERROR(bind_pages("hook_counts", &counts_));
  SL_RETURN_IF_ERROR(bind_pages("hook_tests", &tests_));
  SL_RETURN_IF_ERROR(bind_pages("hook_words", &words_));
  void* const memory =
      mmap(nullptr, kPointBytes, PROT_READ | PROT_WRITE, MAP_SHARED, programs_->map_fd("hook_points"), 0);
  if (memory == MAP_FAILED) return ErrnoError(errno, "map hook_points into memory");
  point_words_ = static_cast<std::uint64_t*>(memory);
  return OkStatus();
}

StatusOr<Range> HookTables::Take(Places& places, std::uint32_t count, std::uint32_t from) {
  auto taken = places.Take(count, from);
  if (taken.ok() || retired_.places.empty()) return taken;
  SL_RETURN_IF_ERROR(Reclaim());
  return places.Take(count, from);
}

Status HookTables::Put(const ObjectName& name, CompiledPolicyPtr policy, PolicyState state) {
  const std::lock_guard lock(mutex_);
  const auto found = versions_.find(name);
  const Version* const old = found == versions_.end() ? nullptr : &(*found).second;
  Version version{.name = name, .policy = std::move(policy), .state = state};
  std::vector<ListChange> changes;
  Status done = Place(&version);
  if (done.ok()) done = Write(&version);
  if (done.ok()) done = Attach(&version);
  if (done.ok()) done = PlanLists(&version, old, &changes);
  if (!done.ok()) {
    TakeBack(version);
    TidyPoints();
    return done;
  }
  Name(version);
  for (const ListChange& change : changes) Store(change);
  MarkRunning(version);
  if (old != nullptr) {
    Retire(*old);
    versions_.erase(found);
  }
  const bool replaced = old != nullptr;
  versions_.emplace(name, std::move(version));
  TidyPoints();
  if (replaced) ReclaimOrWarn();
  return OkStatus();
}

Status HookTables::Remove(const ObjectName& name) {
  const std::lock_guard lock(mutex_);
  const auto found = versions_.find(name);
  if (found == versions_.end()) return OkStatus();
  std::vector<ListChange> changes;
  SL_RETURN_IF_ERROR(PlanLists(nullptr, &(*found).second, &changes));
  for (const ListChange& change : changes) Store(change);
  Retire((*found).second);
  versions_.erase(found);
  TidyPoints();
  ReclaimOrWarn();
  return OkStatus();
}

Status HookTables::Place(Version* version) {
  const TableSizes sizes = version->sizes = SizesOf(*version->policy);
  TablePlaces& places = version->places;
  places.life = ++last_life_;
  SL_ASSIGN_OR_RETURN(version->slot, Take(policy_places_, 1));
  places.policy = version->slot.first;
  SL_ASSIGN_OR_RETURN(places.hooks, Take(hook_places_, sizes.hooks));
  SL_ASSIGN_OR_RETURN(places.selectors, Take(selector_places_, sizes.selectors));
  SL_ASSIGN_OR_RETURN(places.tests, Take(test_places_, sizes.tests));
  SL_ASSIGN_OR_RETURN(places.words, Take(word_places_, sizes.words));
  places.first_set = next_set_;
  next_set_ += sizes.sets;
  places.first_mark = next_mark_;
  next_mark_ += sizes.marks;
  std::map<std::uint32_t, ScopeInForce> scopes;
  for (std::size_t i = 0; i < version->policy->scopes.size(); ++i) {
    if (IncludesEverything(version->policy->scopes[i], version->policy->policy->name)) {
      places.scopes.push_back(Subjects::kEverything);
      continue;
    }
    SL_ASSIGN_OR_RETURN(const Range scope, Take(scope_places_, 1));
    version->scopes.push_back(scope);
    places.scopes.push_back(scope.first);
    scopes.emplace(scope.first, ScopeInForce{version->policy, i});
  }
  return subjects_.AddScopes(scopes);
}

// The maps that only some policies need.
Status HookTables::MakeMapsFor(const CompiledPolicy& policy) {
  bool returns = false, rates = false, stacks = false, sockets = false, sets = false;
  constexpr std::uint32_t kSockets = SL_HOOK_ACTION_TRACK_SOCKET | SL_HOOK_ACTION_UNTRACK_SOCKET;
  for (const CompiledHook& hook : policy.hooks) {
    returns = returns || (hook.hook.flags & SL_HOOK_RETURNS) != 0;
    sets = sets || !hook.sets.empty();
    for (const sl_hook_selector& selector : hook.selectors) {
      rates = rates || selector.rate_ns != 0;
      stacks = stacks || selector.stacks != 0;
      sockets = sockets || ((selector.actions | selector.return_actions) & kSockets) != 0;
    }
  }
  for (const auto& [needed, name] : {std::pair(returns, "hook_calls"), std::pair(rates, "hook_rates"),
                                     std::pair(stacks, "hook_stacks"), std::pair(sockets, "hook_socket_owners")}) {
    if (needed) SL_RETURN_IF_ERROR(programs_->pages(name)->Make(0).status());
  }
  if (!sets || sets_.fd() >= 0) return OkStatus();
  SL_ASSIGN_OR_RETURN(const int made, programs_->pages("hook_sets")->Make(0));
  SL_ASSIGN_OR_RETURN(sets_, decltype(sets_)::Bind(made, "hook_sets"));
  return OkStatus();
}

Status HookTables::Write(Version* version) {
  const TablePlaces& places = version->places;
  const TableImage image = MakeImage(*version->policy, places);
  SL_RETURN_IF_ERROR(MakeMapsFor(*version->policy));
  SL_RETURN_IF_ERROR(words_.PutAll(places.words.first, image.words));
  SL_RETURN_IF_ERROR(PutSets(image.sets, version));
  SL_RETURN_IF_ERROR(tests_.PutAll(places.tests.first, image.tests));
  SL_RETURN_IF_ERROR(selectors_.PutAll(places.selectors.first, image.selectors));
  SL_RETURN_IF_ERROR(counts_.PutAll(places.selectors.first, std::vector<sl_hook_counts>(places.selectors.count)));
  SL_RETURN_IF_ERROR(hooks_.PutAll(places.hooks.first, image.hooks));
  for (std::uint32_t i = 0; i < places.hooks.count; ++i) {
    placed_.insert_or_assign(places.hooks.first + i,
                             PlacedHook{.policy = version->policy, .hook = i, .placed = image.hooks[i]});
    hook_returns_[places.hooks.first + i] = (image.hooks[i].flags & SL_HOOK_RETURNS) != 0;
    std::uint8_t& stacks = hook_stacks_[places.hooks.first + i];
    stacks = 0;
    for (const sl_hook_selector& selector : version->policy->hooks[i].selectors) stacks |= selector.stacks;
  }
  return PutState(*version);
}

Status HookTables::PutSets(const std::vector<sl_hook_set_key>& sets, Version* version) {
  if (set_entries_ + sets.size() > SL_HOOK_SET_ENTRIES)
    return MakeError(absl::StatusCode::kResourceExhausted,
                     "no room for {} more values in lists of hook policies: {} of {} are in use", sets.size(),
                     set_entries_, SL_HOOK_SET_ENTRIES);
  version->sets = sets;
  set_entries_ += sets.size();
  return sets_.PutAll(sets, std::vector<std::uint8_t>(sets.size(), 1));
}

Status HookTables::PutState(const Version& version) const {
  return policies_.Put(version.places.policy, PolicyOf(version.state, version.places.life));
}

Status HookTables::Attach(Version* version) {
  if (NeedsExecs(*version->policy)) SL_RETURN_IF_ERROR(programs_->WatchExecs(true));
  std::map<HookPoint, bool> returns;
  for (std::size_t i = 0; i < version->policy->hooks.size(); ++i) {
    version->points.push_back(InThisKernel(version->policy->hooks[i].point));
    bool& wanted = returns[version->points.back()];
    wanted = wanted || hook_returns_[version->places.hooks.first + i];
  }
  version->missing.assign(version->points.size(), false);
  // Held, so that they are read once for all points. If they cannot be read, the point says so.
  StatusOr<std::shared_ptr<const btf>> types = nullptr;
  if (std::ranges::any_of(returns, [](const auto& entry) { return NeedsTypes(entry.first); }))
    types = bpf::KernelTypes();
  for (const auto& [point, wanted] : returns) SL_RETURN_IF_ERROR(AttachPoint(point, wanted, version));
  return OkStatus();
}

Status HookTables::AttachPoint(const HookPoint& point, bool returns, Version* version) {
  const auto known = points_.find(point);
  if (known != points_.end()) {
    Point& attached = (*known).second;
    if (attached.returns || !returns) return OkStatus();
    SL_RETURN_IF_ERROR(programs_->Attach(point, true, attached.number).status());
    attached.returns = true;
    return OkStatus();
  }
  // The kernel may detach a moment after it was asked to: no number is used again soon.
  SL_ASSIGN_OR_RETURN(const Range number, Take(point_places_, 1, next_point_));
  const auto attached = programs_->Attach(point, returns, number.first);
  if (attached.ok()) {
    next_point_ = number.first + 1;
    points_.emplace(point, Point{.number = number.first, .returns = returns, .attached = *attached});
    return OkStatus();
  }
  point_places_.Release(number);
  for (std::size_t i = 0; i < version->points.size(); ++i) {
    const CompiledHook& hook = version->policy->hooks[i];
    if (version->points[i] != point) continue;
    if (!absl::IsNotFound(attached.status()) || !hook.ignore_missing)
      // An object of an API server has no lines.
      return hook.place.line > 0 ? Annotate(attached.status(), fmt::format("the hook in line {}", hook.place.line))
                                 : attached.status();
    version->missing[i] = true;
  }
  return OkStatus();
}

// The new lists of all points of both policies; those where `added` has hooks come first.
Status HookTables::PlanLists(const Version* added, const Version* removed, std::vector<ListChange>* changes) {
  const auto plan = [&](const HookPoint& hook_point) -> Status {
    Point& point = points_.at(hook_point);
    if (std::ranges::any_of(*changes, [&](const ListChange& change) { return change.point == &point; }))
      return OkStatus();
    ListChange change{.point = &point};
    for (const std::uint32_t hook : point.hooks) {
      const bool ends = removed != nullptr && hook - removed->places.hooks.first < removed->places.hooks.count;
      if (!ends) change.hooks.push_back(hook);
    }
    for (std::size_t i = 0; added != nullptr && i < added->points.size(); ++i) {
      if (added->points[i] == hook_point)
        change.hooks.push_back(added->places.hooks.first + static_cast<std::uint32_t>(i));
    }
    SL_ASSIGN_OR_RETURN(change.list, Take(list_places_, static_cast<std::uint32_t>(change.hooks.size())));
    changes->push_back(change);
    SL_RETURN_IF_ERROR(list_.PutAll(Numbers(change.list), change.hooks));
    SL_ASSIGN_OR_RETURN(changes->back().index, PlaceIndex(change.hooks));
    return OkStatus();
  };
  const auto plan_all = [&](const Version& version) -> Status {
    for (std::size_t i = 0; i < version.points.size(); ++i) {
      if (!version.missing[i]) SL_RETURN_IF_ERROR(plan(version.points[i]));
    }
    return OkStatus();
  };
  Status planned = added == nullptr ? OkStatus() : plan_all(*added);
  if (planned.ok() && removed != nullptr) planned = plan_all(*removed);
  if (planned.ok()) return planned;
  for (const ListChange& change : *changes) {
    list_places_.Release(change.list);
    ReleaseIndex(change.index);
  }
  return planned;
}

// None if there is no room: without an index, every hook is tested.
StatusOr<HookTables::IndexPlaces> HookTables::PlaceIndex(const std::vector<std::uint32_t>& hooks) {
  std::vector<IndexedHook> indexed;
  for (const std::uint32_t number : hooks) {
    const PlacedHook& hook = placed_.at(number);
    indexed.push_back({.compiled = &hook.policy->hooks[hook.hook], .placed = &hook.placed});
  }
  auto index = WriteIndex(MakeIndex(indexed));
  return absl::IsResourceExhausted(index.status()) ? IndexPlaces{} : index;
}

StatusOr<HookTables::IndexPlaces> HookTables::WriteIndex(std::vector<IndexColumn> index) {
  IndexPlaces places;
  const auto write = [&]() -> Status {
    SL_ASSIGN_OR_RETURN(places.columns, Take(column_places_, static_cast<std::uint32_t>(index.size())));
    std::vector<sl_hook_column> columns;
    for (IndexColumn& column : index) {
      SL_ASSIGN_OR_RETURN(const Range slots, Take(slot_places_, static_cast<std::uint32_t>(column.slots.size())));
      places.slots.push_back(slots);
      column.column.slots = slots.first;
      columns.push_back(column.column);
      SL_RETURN_IF_ERROR(slots_.PutAll(slots.first, column.slots));
    }
    return columns_.PutAll(Numbers(places.columns), columns);
  };
  const Status written = write();
  if (written.ok()) return places;
  ReleaseIndex(places);
  return written;
}

// Of an index that no program has met.
void HookTables::ReleaseIndex(const IndexPlaces& index) {
  column_places_.Release(index.columns);
  for (const Range slots : index.slots) slot_places_.Release(slots);
}

void HookTables::Store(const ListChange& change) {
  Point& point = *change.point;
  sl_hook_point value{.first = static_cast<__u16>(change.list.first),
                      .count = static_cast<__u16>(change.list.count),
                      .columns = static_cast<__u16>(change.index.columns.first),
                      .column_count = static_cast<__u8>(change.index.columns.count),
                      .stacks = 0};
  for (const std::uint32_t hook : change.hooks) value.stacks |= hook_stacks_[hook];
  std::uint64_t word = 0;
  std::memcpy(&word, &value, sizeof(word));
  __atomic_store_n(&point_words_[point.number], word, __ATOMIC_RELEASE);
  if (point.list.count != 0) retired_.places.emplace_back(&list_places_, point.list);
  retired_.places.emplace_back(&column_places_, point.index.columns);
  for (const Range slots : point.index.slots) retired_.places.emplace_back(&slot_places_, slots);
  point.list = change.list;
  point.index = change.index;
  point.hooks = change.hooks;
}

void HookTables::Forget(Range hooks) {
  for (std::uint32_t i = 0; i < hooks.count; ++i) placed_.erase(hooks.first + i);
}

// Processes that run already, and that the hooks which mark processes would have marked.
void HookTables::MarkRunning(const Version& version) const {
  bpf::MarkedPrograms marks;
  for (const CompiledHook& hook : version.policy->hooks) {
    const sl_hook_selector& selector = hook.selectors.front();
    if ((selector.actions & SL_HOOK_ACTION_MARK) == 0) continue;
    std::set<std::string>& paths = marks[version.places.first_mark + static_cast<std::uint32_t>(selector.error)];
    for (const sl_hook_test& test : hook.tests)
      paths.emplace(reinterpret_cast<const char*>(hook.words.data() + test.first), test.last);
  }
  if (marks.empty()) return;
  if (const Status status = programs_->MarkRunning(marks); !status.ok())
    LogWarn("hook policies: processes that run already are not followed: {}", Message(status));
}

// Of a version that no program has met.
void HookTables::TakeBack(const Version& version) {
  const TablePlaces& places = version.places;
  Forget(places.hooks);
  policy_places_.Release(version.slot);
  hook_places_.Release(places.hooks);
  selector_places_.Release(places.selectors);
  test_places_.Release(places.tests);
  word_places_.Release(places.words);
  for (const Range scope : version.scopes) {
    subjects_.RemoveScope(scope.first);
    scope_places_.Release(scope);
  }
  set_entries_ -= version.sets.size();
  if (const Status status = sets_.DeleteAll(version.sets); !status.ok()) LogWarn("{}", Message(status));
}

void HookTables::Retire(const Version& version) {
  const TablePlaces& places = version.places;
  retired_.places.insert(retired_.places.end(), {{&policy_places_, version.slot},
                                                 {&hook_places_, places.hooks},
                                                 {&selector_places_, places.selectors},
                                                 {&test_places_, places.tests},
                                                 {&word_places_, places.words}});
  for (const Range scope : version.scopes) {
    subjects_.RemoveScope(scope.first);
    retired_.places.emplace_back(&scope_places_, scope);
  }
  Forget(places.hooks);
  retired_.sets.insert(retired_.sets.end(), version.sets.begin(), version.sets.end());
  retired_.hooks.push_back(places.hooks);
  retired_.policies.push_back(places.policy);
  retired_.lives.insert(places.life);
  RetireName(places.life);
}

// Detaches points without hooks, and returns and execs that no hook wants.
void HookTables::TidyPoints() {
  const bool execs = std::ranges::any_of(versions_, [](const auto& one) { return NeedsExecs(*one.second.policy); });
  if (const Status status = execs ? OkStatus() : programs_->WatchExecs(false); !status.ok())
    LogWarn("hook policies: {}", Message(status));
  for (auto entry = points_.begin(); entry != points_.end();) {
    Point& point = (*entry).second;
    Status status;
    if (point.hooks.empty()) {
      status = programs_->Detach(point.number);
      retired_.places.emplace_back(&point_places_, Range{point.number, 1});
      entry = points_.erase(entry);
    } else {
      const bool wanted = std::ranges::any_of(point.hooks, [&](std::uint32_t hook) { return hook_returns_[hook]; });
      if (wanted != point.returns) status = programs_->Attach((*entry).first, wanted, point.number).status();
      point.returns = wanted;
      ++entry;
    }
    if (!status.ok()) LogWarn("hook policies: {}", Message(status));
  }
}

Status HookTables::Reclaim() {
  SL_RETURN_IF_ERROR(bpf::WaitForRunningPrograms());
  // A call that returns much later must find nothing of the policy that began to watch it. Not earlier: programs that
  // ran when the lists changed had to find all of it.
  for (const Range hooks : retired_.hooks)
    SL_RETURN_IF_ERROR(hooks_.PutAll(hooks.first, std::vector<sl_hook>(hooks.count)));
  // What it left for its enforcer counts no more.
  for (const std::uint32_t policy : retired_.policies) SL_RETURN_IF_ERROR(policies_.Put(policy, sl_hook_policy()));
  if (!retired_.lives.empty()) SL_RETURN_IF_ERROR(programs_->ForgetEvents(retired_.lives));
  SL_RETURN_IF_ERROR(sets_.DeleteAll(retired_.sets));
  set_entries_ -= retired_.sets.size();
  for (const auto& [places, range] : retired_.places) places->Release(range);
  subjects_.Release(retired_.subjects);
  retired_ = {};
  return OkStatus();
}

void HookTables::ReclaimOrWarn() {
  if (const Status status = Reclaim(); !status.ok())
    LogWarn("hook policies: what the last change freed is not used again yet: {}", Message(status));
}

Status HookTables::SetState(const ObjectName& name, PolicyState state) {
  const std::lock_guard lock(mutex_);
  const auto found = versions_.find(name);
  if (found == versions_.end())
    return MakeError(absl::StatusCode::kNotFound, "no hook policy {} is in force", name.ToString());
  Version changed = (*found).second;
  changed.state = state;
  SL_RETURN_IF_ERROR(PutState(changed));
  (*found).second.state = state;
  return OkStatus();
}

Status HookTables::SetSubjects(const std::vector<Subject>& subjects) {
  const std::lock_guard lock(mutex_);
  Status set = subjects_.Set(subjects, &retired_.subjects);
  if (!retired_.subjects.empty()) ReclaimOrWarn();
  return set;
}

StatusOr<int> HookTables::PutBackPins() {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  return lock.owns_lock() ? programs_->PutBackPins() : 0;
}

std::uint64_t HookTables::IndexBytes(const Point& point) {
  std::uint64_t bytes = std::uint64_t{point.index.columns.count} * sizeof(sl_hook_column);
  for (const Range slots : point.index.slots) bytes += std::uint64_t{slots.count} * sizeof(sl_hook_slot);
  return bytes;
}

std::vector<PolicyInfo> HookTables::List() const {
  const std::lock_guard lock(mutex_);
  std::vector<PolicyInfo> list;
  for (const auto& [name, version] : versions_) {
    PolicyInfo info{.name = name, .state = version.state, .bytes = BytesOf(version.sizes), .hooks = {}};
    for (std::size_t i = 0; i < version.points.size(); ++i) {
      const auto point = points_.find(version.points[i]);
      const bool attached = !version.missing[i] && point != points_.end();
      info.hooks.push_back(
          {.point = version.policy->hooks[i].point, .attached = attached ? (*point).second.attached.place : ""});
      if (attached) info.bytes += IndexBytes((*point).second) / (*point).second.hooks.size();
    }
    list.push_back(std::move(info));
  }
  return list;
}

StatusOr<std::vector<SelectorCounts>> HookTables::Counts(const ObjectName& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = versions_.find(name);
  if (found == versions_.end())
    return MakeError(absl::StatusCode::kNotFound, "no hook policy {} is in force", name.ToString());
  const Version& version = (*found).second;
  std::vector<SelectorCounts> all;
  std::uint32_t place = version.places.selectors.first;
  for (std::size_t hook = 0; hook < version.policy->hooks.size(); ++hook) {
    for (std::size_t selector = 0; selector < version.policy->hooks[hook].selectors.size(); ++selector) {
      SL_ASSIGN_OR_RETURN(const auto counts, counts_.Get(place++));
      all.push_back({.hook = hook, .selector = selector, .counts = counts.value_or(sl_hook_counts{})});
    }
  }
  return all;
}

std::vector<TableFill> HookTables::Fill() const {
  const std::lock_guard lock(mutex_);
  const auto fill = [](const char* name, const Places& places) {
    return TableFill{name, places.used(), places.capacity()};
  };
  return {fill("hook_policies", policy_places_),
          fill("hook_points", point_places_),
          fill("hook_list", list_places_),
          fill("hook_columns", column_places_),
          fill("hook_slots", slot_places_),
          fill("hooks", hook_places_),
          fill("hook_selectors", selector_places_),
          fill("hook_tests", test_places_),
          fill("hook_words", word_places_),
          fill("hook_scopes", scope_places_),
          TableFill{"hook_sets", set_entries_, SL_HOOK_SET_ENTRIES}};
}

std::string HookTables::KeyOf(std::uint32_t subject) const {
  const std::lock_guard lock(mutex_);
  return subjects_.KeyOf(subject);
}

void HookTables::Name(const Version& version) {
  const std::lock_guard lock(names_mutex_);
  names_.emplace(version.places.life, Named{.described = {.name = version.name, .policy = version.policy, .hook = 0},
                                            .hooks = version.places.hooks,
                                            .retired = std::nullopt});
}

void HookTables::RetireName(std::uint32_t life) {
  const std::lock_guard lock(names_mutex_);
  const auto now = std::chrono::steady_clock::now();
  names_.at(life).retired = now;
  retired_names_.push_back(life);
  while (retired_names_.size() > kMostNamesKept || now - *names_.at(retired_names_.front()).retired > kNamesKept) {
    names_.erase(retired_names_.front());
    retired_names_.pop_front();
  }
}

std::optional<DescribedHook> HookTables::Describe(std::uint32_t hook, std::uint32_t life) const {
  const std::lock_guard lock(names_mutex_);
  const auto found = names_.find(life);
  if (found == names_.end()) return std::nullopt;
  const Named& named = (*found).second;
  if (hook - named.hooks.first >= named.hooks.count) return std::nullopt;
  DescribedHook described = named.described;
  described.hook = hook - named.hooks.first;
  return described;
}

}  // namespace sluice::hooks
