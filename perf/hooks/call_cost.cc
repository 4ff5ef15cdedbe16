#include "perf/hooks/call_cost.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <optional>

#include "perf/hooks/thread_time.h"
#include "perf/orderly_end.h"

namespace sluice::perf {
namespace {

constexpr int kOtherMode = 0x100, kWantedMode = 0x200;  // of access: both are refused at once
constexpr int kOtherCommand = F_GETFD, kWantedCommand = F_GETSIG;
constexpr char kCall[] = "faccessat2", kFunction[] = "security_file_fcntl";
constexpr char kUnwanted[] = "miss";

// Two files; selectors want one of them, and the calls that are measured use the other.
struct Files {
  std::string wanted, other;
  Fd wanted_fd, other_fd;
};

StatusOr<Files> MakeFiles(const std::string& directory) {
  Files files{.wanted = directory + "/wanted", .other = directory + "/other", .wanted_fd = {}, .other_fd = {}};
  for (const auto& [path, fd] :
       {std::pair(&files.wanted, &files.wanted_fd), std::pair(&files.other, &files.other_fd)}) {
    *fd = Fd(open(path->c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd->valid()) return ErrnoError(errno, "make {}", *path);
  }
  return files;
}

struct Kind {
  std::string name;
  OneHook hook;
  int policies = 1;  // the last one has `hook`; the others want another file each
};

struct Place {
  std::string name;
  std::function<void()> call;         // that no selector wants
  std::function<void()> wanted_call;  // that every selector wants
  std::function<StatusOr<Fd>()> attach_empty;
  std::vector<Kind> kinds;
};

// Nanoseconds of CPU time for each.
double TimeOf(const std::function<void()>& call, int calls) {
  for (int i = 0; i < calls / 4; ++i) call();
  const double start = ThreadNanoseconds();
  for (int i = 0; i < calls; ++i) call();
  return (ThreadNanoseconds() - start) / calls;
}

// Proves, too, that the hook was in force meanwhile.
StatusOr<double> TimeWithPolicies(const Place& place, const Kind& kind, int calls, HookWorld* world) {
  for (int i = 1; i < kind.policies; ++i) {
    OneHook hook = kind.hook;
    hook.value = fmt::format("/etc/secret-{}", i);
    SL_RETURN_IF_ERROR(world->Put(PolicyOf(fmt::format("{}-{}", kUnwanted, i), hook)));
  }
  SL_RETURN_IF_ERROR(world->Put(PolicyOf(kUnwanted, kind.hook)));
  const double time = TimeOf(place.call, calls);
  Status checked = world->ExpectMatches(kUnwanted, 0);
  place.wanted_call();
  if (checked.ok()) checked = world->ExpectMatches(kUnwanted, 1);
  SL_RETURN_IF_ERROR(world->Clear());
  SL_RETURN_IF_ERROR(checked);
  return time;
}

StatusOr<double> TimeWithEmptyProgram(const Place& place, int calls) {
  SL_ASSIGN_OR_RETURN(const Fd attached, place.attach_empty());
  return TimeOf(place.call, calls);
}

std::string RowOf(const std::string& place, const std::string& what) { return place + "/" + what; }
std::string AddedRow(const std::string& place, const std::string& what) { return place + "/" + what + "/added"; }

std::vector<std::string> RowsOfPlace(const std::string& place, const std::vector<std::string>& kinds) {
  std::vector<std::string> rows = {RowOf(place, "bare"), RowOf(place, "empty"), AddedRow(place, "empty")};
  for (const std::string& kind : kinds) rows.insert(rows.end(), {RowOf(place, kind), AddedRow(place, kind)});
  return rows;
}

// A round takes one sample of each case; each case is first in turn, as the machine's speed may change in a round.
Status MeasurePlace(const CallCostSizes& sizes, const Place& place, HookWorld* world, Rows* rows) {
  const std::size_t cases = 2 + place.kinds.size();
  const std::string bare = RowOf(place.name, "bare"), empty = RowOf(place.name, "empty");
  for (int round = 0; round < sizes.rounds; ++round) {
    std::vector<double> times(cases);
    for (std::size_t i = 0; i < cases; ++i) {
      SL_RETURN_IF_ERROR(OrderlyEnd::Check());
      const std::size_t one = (i + round) % cases;
      if (one == 0) {
        times[one] = TimeOf(place.call, sizes.calls);
      } else if (one == 1) {
        SL_ASSIGN_OR_RETURN(times[one], TimeWithEmptyProgram(place, sizes.calls));
      } else {
        SL_ASSIGN_OR_RETURN(times[one], TimeWithPolicies(place, place.kinds[one - 2], sizes.calls, world));
      }
    }
    for (std::size_t one = 0; one < cases; ++one) {
      const std::string kind = one == 0 ? "bare" : one == 1 ? "empty" : place.kinds[one - 2].name;
      rows->Add(RowOf(place.name, kind), "", times[one], {bare, empty});
      if (one != 0) rows->Add(AddedRow(place.name, kind), "", times[one] - times[0], {AddedRow(place.name, "empty")});
    }
  }
  return OkStatus();
}

}  // namespace

std::vector<std::string> CallRows() { return RowsOfPlace("call", {"int", "string", "string/policies:50", "path"}); }
std::vector<std::string> FunctionRows() { return RowsOfPlace("function", {"int", "path"}); }

Status MeasureCallCost(const CallCostSizes& sizes, const std::string& directory, const EmptyProgram& empty,
                       HookWorld* world, Rows* rows) {
  SL_ASSIGN_OR_RETURN(const Files files, MakeFiles(directory));
  const std::string call = std::string("sys_") + kCall;
  const Place place{
      .name = "call",
      .call = [&] { syscall(SYS_faccessat2, files.other_fd.get(), files.other.c_str(), kOtherMode, 0); },
      .wanted_call = [&] { syscall(SYS_faccessat2, files.wanted_fd.get(), files.wanted.c_str(), kWantedMode, 0); },
      .attach_empty = [&] { return empty.AttachToCall(kCall, world->calls_by_tracepoint()); },
      .kinds =
          {
              {"int", {.function = call, .argument = 2, .type = "int", .value = std::to_string(kWantedMode)}},
              {"string", {.function = call, .argument = 1, .type = "string", .value = files.wanted}},
              {"string/policies:50",
               {.function = call, .argument = 1, .type = "string", .comparison = "Prefix", .value = files.wanted},
               50},
              {"path", {.function = call, .argument = 0, .type = "fd", .value = files.wanted}},
          }};
  return MeasurePlace(sizes, place, world, rows);
}

Status MeasureFunctionCost(const CallCostSizes& sizes, const std::string& directory, const EmptyProgram& empty,
                           HookWorld* world, Rows* rows) {
  SL_ASSIGN_OR_RETURN(const Files files, MakeFiles(directory));
  const auto hook = [](int argument, const char* type, const std::string& value) {
    return OneHook{.function = kFunction, .is_call = false, .argument = argument, .type = type, .value = value};
  };
  const Place place{
      .name = "function",
      .call = [&] { fcntl(files.other_fd.get(), kOtherCommand); },
      .wanted_call = [&] { fcntl(files.wanted_fd.get(), kWantedCommand); },
      .attach_empty = [&] { return empty.AttachToFunction(kFunction); },
      .kinds = {{"int", hook(1, "int", std::to_string(kWantedCommand))}, {"path", hook(0, "file", files.wanted)}}};
  return MeasurePlace(sizes, place, world, rows);
}

}  // namespace sluice::perf
