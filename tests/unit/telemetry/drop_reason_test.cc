#include "telemetry/event/drop_reason.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "bpf/abi/drop_reasons.h"

namespace sluice::telemetry {
namespace {

TEST(DropReason, EachHasANameAMeaningAndAnAdvice) {
  ASSERT_EQ(DropReasons().size(), SL_DROP_REASON_COUNT - 1U);
  for (const DropReasonInfo& reason : DropReasons()) {
    SCOPED_TRACE(reason.name);
    EXPECT_TRUE(reason.meaning.ends_with('.'));
    EXPECT_TRUE(std::isupper(static_cast<unsigned char>(reason.meaning.front())));
    EXPECT_TRUE(std::string_view(reason.advice).ends_with('.'));
    EXPECT_EQ(FindDropReason(reason.name), &reason);
  }
  EXPECT_STREQ(DropReasons().front().name, DropReasonName(SL_DROP_POLICY_DENIED));
}

TEST(DropReason, IsFoundInAnyCase) {
  ASSERT_NE(FindDropReason("policy_denied"), nullptr);
  EXPECT_STREQ(FindDropReason("policy_denied")->name, "POLICY_DENIED");
  for (const char* other : {"", "NONE", "POLICY", "POLICY_DENIED "}) EXPECT_EQ(FindDropReason(other), nullptr) << other;
}

// docs/drop-reasons.md is made here: SLUICE_UPDATE_DOCS=1 writes it.
std::string DropReasonsPage() {
  std::string page =
      "# Drop reasons\n"
      "Why a packet was dropped: `dropReason` of a flow event, and the label `reason` of the metrics. `sluice explain\n"
      "--drop-reason NAME` prints the same, `sluice explain --drop-reasons` lists them all. This page is made from "
      "the\n"
      "code: `SLUICE_UPDATE_DOCS=1 build/bin/unit_telemetry --gtest_filter=DropReason.*`.\n\n"
      "| reason | what it means | what to do |\n| --- | --- | --- |\n";
  for (const DropReasonInfo& reason : DropReasons()) {
    page += fmt::format("| `{}` | {} | {} |\n", reason.name, reason.meaning, reason.advice);
  }
  return page;
}

TEST(DropReason, ThePageSaysWhatTheCodeSays) {
  const char* root = std::getenv("SLUICE_SOURCE_DIR");
  const std::string path = std::string(root == nullptr ? "." : root) + "/docs/drop-reasons.md";
  if (std::getenv("SLUICE_UPDATE_DOCS") != nullptr) std::ofstream(path) << DropReasonsPage();
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(text.str(), DropReasonsPage()) << path << " is out of date";
}

}  // namespace
}  // namespace sluice::telemetry
