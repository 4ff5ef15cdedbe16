// Hook policies in force: writes compiled policies into the kernel's tables, attaches the programs that they need, and
// keeps each subject's scopes.
//
//   auto tables = HookTables::Create(programs.get());
//   (*tables)->SetSubjects(subjects);
//   (*tables)->Put(name, compiled, {.enabled = true, .monitor = false});
//   programs->EndOthers();                                     // once all policies are in force
//   const auto described = (*tables)->Describe(event.hook, event.life);
//
// Thread-safe. Put, Remove and SetSubjects may wait for a grace period of the kernel, and the others for them; Describe
// never waits.
#pragma once

#include <array>
#include <bitset>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "bpf/abi/hook.h"
#include "kernel/bpf/hook_programs.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/paged_array.h"
#include "kernel/hooks/places.h"
#include "kernel/hooks/point_index.h"
#include "kernel/hooks/policy_state.h"
#include "kernel/hooks/subjects.h"
#include "kernel/hooks/table_image.h"
#include "policy/tracing/compiled.h"

namespace sluice::hooks {

using CompiledPolicyPtr = std::shared_ptr<const policy::tracing::CompiledPolicy>;

struct HookInfo {
  policy::tracing::HookPoint point;
  std::string attached;  // "kprobe security_file_permission"; empty: this kernel has no such function
};

struct PolicyInfo {
  policy::ObjectName name;
  PolicyState state;
  std::uint64_t bytes = 0;      // of kernel memory in tables, with its part of the indexes of its points
  std::vector<HookInfo> hooks;  // as CompiledPolicy::hooks
};

// Since the policy was put in force.
struct SelectorCounts {
  std::size_t hook = 0;  // in CompiledPolicy::hooks
  std::size_t selector = 0;
  sl_hook_counts counts{};
};

struct DescribedHook {
  policy::ObjectName name;
  CompiledPolicyPtr policy;
  std::size_t hook = 0;  // in policy->hooks
};

struct TableFill {
  std::string name;
  std::uint64_t used = 0;
  std::uint64_t capacity = 0;
};

class HookTables {
 public:
  // `programs` must outlive it.
  static StatusOr<std::unique_ptr<HookTables>> Create(bpf::HookPrograms* programs);
  ~HookTables();
  HookTables(const HookTables&) = delete;
  HookTables& operator=(const HookTables&) = delete;

  // Puts a policy in force, in place of the one with this name if there is one: at each of their points, a call meets
  // one of the two. A point whose index has no room in its tables has none, which costs time and nothing else. After an
  // error everything is as before: ResourceExhausted names the table; NotFound and
  // FailedPrecondition name the hook that cannot be attached.
  Status Put(const policy::ObjectName& name, CompiledPolicyPtr policy, PolicyState state);
  // OK if there is no such policy.
  Status Remove(const policy::ObjectName& name);
  // NotFound: there is no such policy.
  Status SetState(const policy::ObjectName& name, PolicyState state);
  // Replaces the list of containers and workloads; the host is always a subject. A failure for one of them does not
  // keep the others out.
  Status SetSubjects(const std::vector<Subject>& subjects);

  // Pins programs again whose pins somebody removed; returns how many. 0 while another call is under way: it never
  // waits.
  StatusOr<int> PutBackPins();

  std::vector<PolicyInfo> List() const;
  StatusOr<std::vector<SelectorCounts>> Counts(const policy::ObjectName& name) const;
  std::vector<TableFill> Fill() const;
  std::string KeyOf(std::uint32_t subject) const;  // of a subject in a record; empty: the host, or it is gone

  // What a record is about. Policies that were replaced or removed are known for a while longer.
  std::optional<DescribedHook> Describe(std::uint32_t hook, std::uint32_t life) const;

 private:
  struct Version {  // of a policy
    policy::ObjectName name;
    CompiledPolicyPtr policy;
    PolicyState state;
    TableSizes sizes;
    TablePlaces places;
    Range slot;                                      // in hook_policies
    std::vector<Range> scopes;                       // that are its own
    std::vector<sl_hook_set_key> sets;               // its entries in hook_sets
    std::vector<policy::tracing::HookPoint> points;  // of its hooks, as this kernel calls them
    std::vector<bool> missing;                       // its hooks without a function in this kernel
  };
  struct IndexPlaces {
    Range columns;             // in hook_columns; none: the point has no index
    std::vector<Range> slots;  // of each column, in hook_slots
  };
  struct Point {
    std::uint32_t number = 0;
    bool returns = false;
    bpf::AttachedPoint attached;
    Range list;                        // in hook_list
    std::vector<std::uint32_t> hooks;  // in hook_list there
    IndexPlaces index;
  };
  using Points = std::map<policy::tracing::HookPoint, Point>;
  struct ListChange {
    Point* point = nullptr;
    std::vector<std::uint32_t> hooks;
    Range list;
    IndexPlaces index;
  };
  struct PlacedHook {
    CompiledPolicyPtr policy;
    std::size_t hook = 0;  // in policy->hooks
    sl_hook placed{};
  };
  // What programs that run now may still look at.
  struct Retired {
    std::vector<std::pair<Places*, Range>> places;
    std::vector<sl_hook_set_key> sets;
    std::vector<Range> hooks;
    std::vector<std::uint32_t> policies;
    std::set<std::uint32_t> lives;
    std::vector<std::uint32_t> subjects;
  };
  struct Named {
    DescribedHook described;
    Range hooks;
    std::optional<std::chrono::steady_clock::time_point> retired;
  };

  HookTables(bpf::HookPrograms* programs, Subjects subjects) : programs_(programs), subjects_(std::move(subjects)) {}
  Status Bind();
  StatusOr<Range> Take(Places& places, std::uint32_t count, std::uint32_t from = 0);
  Status Place(Version* version);
  Status Write(Version* version);
  Status MakeMapsFor(const policy::tracing::CompiledPolicy& policy);
  Status PutSets(const std::vector<sl_hook_set_key>& sets, Version* version);
  Status Attach(Version* version);
  Status AttachPoint(const policy::tracing::HookPoint& point, bool returns, Version* version);
  Status PlanLists(const Version* added, const Version* removed, std::vector<ListChange>* changes);
  StatusOr<IndexPlaces> PlaceIndex(const std::vector<std::uint32_t>& hooks);
  StatusOr<IndexPlaces> WriteIndex(std::vector<IndexColumn> index);
  void ReleaseIndex(const IndexPlaces& index);
  static std::uint64_t IndexBytes(const Point& point);
  void Store(const ListChange& change);
  void Forget(Range hooks);
  void MarkRunning(const Version& version) const;
  void TakeBack(const Version& version);
  void Retire(const Version& version);
  void TidyPoints();
  Status Reclaim();
  void ReclaimOrWarn();
  Status PutState(const Version& version) const;
  void Name(const Version& version);
  void RetireName(std::uint32_t life);

  bpf::HookPrograms* const programs_;
  mutable std::mutex mutex_;  // guards all up to names_mutex_
  Subjects subjects_;
  bpf::Map<std::uint32_t, std::uint32_t> list_;
  bpf::Map<std::uint32_t, sl_hook_column> columns_;
  bpf::PagedArray<sl_hook_slot> slots_;
  bpf::PagedArray<sl_hook> hooks_;
  bpf::PagedArray<sl_hook_selector> selectors_;
  bpf::PagedArray<sl_hook_counts> counts_;
  bpf::PagedArray<sl_hook_test> tests_;
  bpf::PagedArray<std::uint64_t> words_;
  bpf::Map<sl_hook_set_key, std::uint8_t> sets_;  // made with the first policy that has lists
  bpf::Map<std::uint32_t, sl_hook_policy> policies_;
  std::uint64_t* point_words_ = nullptr;  // hook_points, mapped: struct sl_hook_point as one store
  Places policy_places_{"hook policies", 1, SL_HOOK_POLICIES};
  Places point_places_{"functions with hooks", 1, SL_HOOK_POINTS};
  Places list_places_{"hooks in lists of functions", 0, SL_HOOK_LIST};
  Places column_places_{"columns of indexes of hooks", 0, SL_HOOK_COLUMNS};
  Places slot_places_{"values in indexes of hooks", 0, SL_HOOK_SLOTS};
  Places hook_places_{"hooks", 0, SL_HOOKS};
  Places selector_places_{"selectors of hooks", 0, SL_HOOK_SELECTORS};
  Places test_places_{"values in filters of hooks", 0, SL_HOOK_TESTS};
  Places word_places_{"words of text in filters of hooks", 0, SL_HOOK_WORDS};
  Places scope_places_{"selections of workloads by hook policies", 1, SL_HOOK_SCOPES};
  std::uint32_t last_life_ = 0;
  std::uint32_t next_set_ = 0;
  std::uint32_t next_mark_ = 1;
  std::uint32_t next_point_ = 0;
  std::uint64_t set_entries_ = 0;
  std::map<policy::ObjectName, Version> versions_;
  Points points_;
  std::map<std::uint32_t, PlacedHook> placed_;        // by number in `hooks`
  std::bitset<SL_HOOKS> hook_returns_;                // which hooks want their function's return
  std::array<std::uint8_t, SL_HOOKS> hook_stacks_{};  // enum sl_hook_stack that their selectors want
  Retired retired_;

  mutable std::mutex names_mutex_;
  std::map<std::uint32_t, Named> names_;     // by life
  std::deque<std::uint32_t> retired_names_;  // lives, oldest first
};

}  // namespace sluice::hooks
