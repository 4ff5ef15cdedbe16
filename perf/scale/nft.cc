#include "perf/scale/nft.h"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>

#include "perf/scratch.h"
#include "perf/tools.h"

namespace sluice::perf {
namespace {

using Clock = std::chrono::steady_clock;

std::string RulesetText(std::uint32_t size) {
  std::string text = "table inet bench {\nset peers {\ntype ipv4_addr;\nelements = {\n";
  for (std::uint32_t i = 0; i < size; ++i)
    fmt::format_to(std::back_inserter(text), "10.{}.{}.{},\n", 1 + (i >> 16), i >> 8 & 255, i & 255);
  return text +
         "}\n}\nchain input {\ntype filter hook input priority 0;\npolicy accept;\nip saddr @peers accept\n}\n}\n";
}

Status Nft(const std::string& arguments) {
  if (const int status = std::system(fmt::format("exec nft {}", arguments).c_str()); status != 0)
    return MakeError(absl::StatusCode::kInternal, "`nft {}` ended with wait status {}", arguments, status);
  return OkStatus();
}

}  // namespace

Status MeasureNftSet(std::uint32_t size, int runs, Rows* rows) {
  if (!IsInstalled("nft")) return MakeError(absl::StatusCode::kNotFound, "nft is not installed");
  SL_ASSIGN_OR_RETURN(const Scratch scratch, Scratch::Create());
  const std::string path = scratch.directory() + "/set.nft";
  std::ofstream file(path);
  file << RulesetText(size);
  file.close();
  if (!file) return ErrnoError(errno, "write {}", path);
  for (int run = 0; run < runs; ++run) {
    const Clock::time_point start = Clock::now();
    SL_RETURN_IF_ERROR(Nft("-f " + path));
    rows->Add(fmt::format("load/nft-set:{}", size), "ms",
              std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    SL_RETURN_IF_ERROR(Nft("delete table inet bench"));
  }
  return OkStatus();
}

}  // namespace sluice::perf
