#include "perf/hooks/file_mix.h"

#include <fcntl.h>
#include <unistd.h>

#include <functional>

#include "base/fd.h"
#include "perf/hooks/file_tree.h"
#include "perf/orderly_end.h"

namespace sluice::perf {
namespace {

constexpr int kPolicyCounts[] = {0, 1, 10, 50};
constexpr char kOpeningCall[] = "openat";

using FileCost = std::function<StatusOr<double>()>;  // for each file, in ns

std::string RowWith(const std::string& who, int policies) { return fmt::format("{}/policies:{}", who, policies); }

std::vector<std::string> RowsOfFiles(const std::string& who) {
  std::vector<std::string> rows;
  for (const int policies : kPolicyCounts) rows.push_back(RowWith(who, policies));
  rows.push_back(who + "/empty");
  return rows;
}

// Each policy has a file of its own that it wants, and compares names in another way than the one before.
std::string OpeningPolicy(int number) { return fmt::format("open-{}", number); }
std::string WantedFile(int number) { return fmt::format("/etc/sluice-bench-{}/secret-{}/key", getpid(), number); }
std::vector<HookPolicy> OpeningPolicies(int count) {
  constexpr const char* kComparisons[] = {"Equal", "Prefix", "Postfix"};
  std::vector<HookPolicy> policies;
  for (int i = 0; i < count; ++i) {
    policies.push_back(PolicyOf(OpeningPolicy(i), {.function = std::string("sys_") + kOpeningCall,
                                                   .argument = 1,
                                                   .type = "string",
                                                   .comparison = kComparisons[i % std::size(kComparisons)],
                                                   .value = WantedFile(i)}));
  }
  return policies;
}

// Proves, too, that the policies were in force meanwhile.
StatusOr<double> CostWith(int policies, const FileCost& cost, HookWorld* world) {
  SL_RETURN_IF_ERROR(world->Put(OpeningPolicies(policies)));
  const auto measured = cost();
  Status checked = measured.status();
  if (policies > 0) {
    const int last = policies - 1;
    checked.Update(world->ExpectMatches(OpeningPolicy(last), 0));
    const Fd none(open(WantedFile(last).c_str(), O_RDONLY | O_CLOEXEC));  // there is no such file
    checked.Update(world->ExpectMatches(OpeningPolicy(last), 1));
  }
  SL_RETURN_IF_ERROR(world->Clear());
  SL_RETURN_IF_ERROR(checked);
  return measured;
}

StatusOr<double> CostWithEmptyProgram(const FileCost& cost, const EmptyProgram& empty, const HookWorld& world) {
  SL_ASSIGN_OR_RETURN(const Fd attached, empty.AttachToCall(kOpeningCall, world.calls_by_tracepoint()));
  return cost();
}

// A round takes one sample of each case; each case is first in turn.
Status MeasureInTurn(const std::string& who, int rounds, const FileCost& cost, const EmptyProgram& empty,
                     HookWorld* world, Rows* rows) {
  const std::vector<std::string> names = RowsOfFiles(who);
  const std::size_t empty_case = names.size() - 1;
  for (int round = 0; round < rounds; ++round) {
    std::vector<double> costs(names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
      SL_RETURN_IF_ERROR(OrderlyEnd::Check());
      const std::size_t one = (i + round) % names.size();
      if (one == empty_case) {
        SL_ASSIGN_OR_RETURN(costs[one], CostWithEmptyProgram(cost, empty, *world));
      } else {
        SL_ASSIGN_OR_RETURN(costs[one], CostWith(kPolicyCounts[one], cost, world));
      }
    }
    for (std::size_t one = 0; one < names.size(); ++one)
      rows->Add(names[one], "ns a file", costs[one], {names.front(), names.back()});
  }
  return OkStatus();
}

}  // namespace

std::vector<std::string> FileRows() { return RowsOfFiles("files"); }
std::vector<std::string> CompilerRows() { return RowsOfFiles("compiler"); }

Status MeasureFileMix(const FileMixSizes& sizes, const std::string& directory, const EmptyProgram& empty,
                      HookWorld* world, Rows* rows) {
  SL_ASSIGN_OR_RETURN(FileTree tree, FileTree::Create(directory, sizes.files));
  return MeasureInTurn(
      "files", sizes.rounds, [&] { return tree.Read(sizes.passes); }, empty, world, rows);
}

Status MeasureCompilerMix(const FileMixSizes& sizes, const std::string& directory, const EmptyProgram& empty,
                          HookWorld* world, Rows* rows) {
  SL_ASSIGN_OR_RETURN(const FileTree tree, FileTree::Create(directory, sizes.compiled_files));
  return MeasureInTurn(
      "compiler", sizes.compilations, [&] { return tree.Compile(sizes.compiled_files); }, empty, world, rows);
}

}  // namespace sluice::perf
