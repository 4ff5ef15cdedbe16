#include "perf/hooks/world.h"

namespace sluice::perf {
namespace {

constexpr std::uint32_t kContainers = 100;
// Numbers that the kernel does not reach.
constexpr std::uint64_t kFirstCgroup = 1ULL << 40U;
constexpr std::uint32_t kFirstNetns = 0xfff00000;

std::vector<hooks::Subject> Containers() {
  std::vector<hooks::Subject> containers;
  for (std::uint32_t i = 0; i < kContainers; ++i) {
    containers.push_back(
        {.key = fmt::format("container-{}", i),
         .cgroups = {kFirstCgroup + i},
         .netns = {kFirstNetns + i},
         .endpoint = 0,
         .facts = {
             .host = false, .ns = "shop", .labels = {}, .container = "web", .repository = "registry.example/web"}});
  }
  return containers;
}

}  // namespace

StatusOr<std::unique_ptr<HookWorld>> HookWorld::Load() {
  SL_ASSIGN_OR_RETURN(auto programs, bpf::HookPrograms::Load({}));
  std::unique_ptr<HookWorld> world(new HookWorld(std::move(programs)));
  Digest& digest = world->digest_;
  SL_RETURN_IF_ERROR(
      world->programs_->ReadEvents([&digest](const void* record, std::size_t size) { digest.Add(record, size); }));
  SL_ASSIGN_OR_RETURN(world->tables_, hooks::HookTables::Create(world->programs_.get()));
  SL_RETURN_IF_ERROR(world->tables_->SetSubjects(Containers()));
  return world;
}

Status HookWorld::Put(const HookPolicy& policy) {
  SL_ASSIGN_OR_RETURN(const hooks::CompiledPolicyPtr compiled, CompileHookPolicy(policy));
  return tables_->Put({.ns = "", .name = policy.name}, compiled, {});
}

Status HookWorld::Put(const std::vector<HookPolicy>& policies) {
  for (const HookPolicy& policy : policies) SL_RETURN_IF_ERROR(Put(policy));
  return OkStatus();
}

Status HookWorld::Clear() {
  for (const hooks::PolicyInfo& info : tables_->List()) SL_RETURN_IF_ERROR(tables_->Remove(info.name));
  return OkStatus();
}

StatusOr<std::uint64_t> HookWorld::Count(const std::string& policy, sl_hook_count what) const {
  SL_ASSIGN_OR_RETURN(const auto counts, tables_->Counts({.ns = "", .name = policy}));
  std::uint64_t sum = 0;
  for (const hooks::SelectorCounts& selector : counts) sum += selector.counts.counts[what];
  return sum;
}

Status HookWorld::ExpectMatches(const std::string& policy, std::uint64_t times) const {
  for (const hooks::PolicyInfo& info : tables_->List()) {
    SL_ASSIGN_OR_RETURN(const std::uint64_t matched, Count(info.name.name, SL_HOOK_COUNT_MATCHED));
    const std::uint64_t expected = info.name.name == policy ? times : 0;
    if (matched != expected)
      return MakeError(absl::StatusCode::kInternal, "the policy {} matched {} times, not {}", info.name.name, matched,
                       expected);
  }
  SL_ASSIGN_OR_RETURN(const std::uint64_t missed, programs_->RunsMissed());
  if (missed != 0) return MakeError(absl::StatusCode::kInternal, "{} calls were not looked at", missed);
  return OkStatus();
}

}  // namespace sluice::perf
