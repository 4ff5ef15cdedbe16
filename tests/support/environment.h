// What this machine lets tests do, and what a test does when it lets them not.
//   TEST(Binder, FindsTheVeth) {
//     SL_REQUIRE_NETNS();
// A test that lacks a right is skipped with the right's name; with SLUICE_REQUIRE_BPF=1 in the environment it fails.
#pragma once

#include <string>

namespace sluice::test {

// Empty: the right is there. Else what is refused, and how.
std::string MissingNetNsRight();
std::string MissingBpfRight();
// Likewise for promtool, which scripts/install-deps installs.
std::string MissingPromtool();

bool SkippingIsForbidden();

}  // namespace sluice::test

// For the body of a test, SetUp or anything else that returns void and includes gtest.
#define SL_SKIP_OR_FAIL_IF(missing)                                  \
  do {                                                               \
    const std::string sl_missing = (missing);                        \
    if (sl_missing.empty()) break;                                   \
    if (::sluice::test::SkippingIsForbidden()) FAIL() << sl_missing; \
    GTEST_SKIP() << sl_missing;                                      \
  } while (false)
#define SL_REQUIRE_NETNS() SL_SKIP_OR_FAIL_IF(::sluice::test::MissingNetNsRight())
#define SL_REQUIRE_BPF() SL_SKIP_OR_FAIL_IF(::sluice::test::MissingBpfRight())
