// What the kernel is told to send for people's rules.
#include "kernel/calls/wanted_classes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "kernel/calls/call_kinds.h"
#include "policy/rules/loader.h"

namespace sluice::calls {
namespace {

using policy::rules::Prefilter;

TEST(CallKinds, EachHasItsTypeAndNumbers) {
  std::set<policy::rules::EventType> types;
  for (std::size_t i = 1; i < SL_CALL_KIND_COUNT; ++i) {
    const auto kind = static_cast<sl_call_kind>(i);
    EXPECT_EQ(policy::rules::NameOf(TypeOf(kind)), NameOf(kind));
    EXPECT_EQ(KindOf(TypeOf(kind)), kind);
    types.insert(TypeOf(kind));
    const auto tables = TablesOf(std::uint64_t{1} << i);
    EXPECT_TRUE(std::ranges::any_of(tables.kinds, [&](std::uint8_t one) { return one == kind; })) << NameOf(kind);
  }
  EXPECT_EQ(types.size(), SL_CALL_KIND_COUNT - 1U);
  EXPECT_FALSE(KindOf(*policy::rules::FindEventType("read")));
}

#ifdef __x86_64__
TEST(CallKinds, NumbersOfAllCallers) {
  const auto tables = TablesOf(~std::uint64_t{0});
  EXPECT_EQ(tables.kinds[257], SL_CALL_OPENAT);
  EXPECT_EQ(tables.kinds[59], SL_CALL_EXECVE);
  EXPECT_EQ(tables.kinds[520], SL_CALL_EXECVE);  // x32
  EXPECT_EQ(tables.kinds[0], SL_CALL_NONE);
  EXPECT_EQ(tables.kinds[452], SL_CALL_FCHMODAT);  // fchmodat2
  EXPECT_EQ(tables.kinds[SL_CALL_COMPAT + 295], SL_CALL_OPENAT);
  EXPECT_EQ(tables.kinds[SL_CALL_COMPAT + 11], SL_CALL_EXECVE);
  EXPECT_EQ(tables.kinds[SL_CALL_COMPAT + 102], SL_CALL_SOCKETCALL);
  EXPECT_EQ(tables.kinds[SL_CALL_COMPAT + 362], SL_CALL_CONNECT);
  EXPECT_EQ(tables.kinds[SL_CALL_COMPAT + 213], SL_CALL_SETUID);
  EXPECT_EQ(tables.kinds[SL_CALL_SOCKETCALLS + 3], SL_CALL_CONNECT);
  EXPECT_EQ(tables.rings[18], SL_CALL_OPENAT);
  const auto one = TablesOf(std::uint64_t{1} << SL_CALL_OPEN);
  EXPECT_EQ(one.kinds[SL_CALL_COMPAT + 102], SL_CALL_NONE);
}
#endif

std::shared_ptr<const policy::rules::Ruleset> PeoplesRules(const std::string& file) {
  const char* const corpora = std::getenv("SLUICE_CORPORA");
  if (corpora == nullptr) return nullptr;
  std::ifstream in(std::string(corpora) + "/falco-rules/rules/" + file);
  std::ostringstream text;
  text << in.rdbuf();
  policy::rules::Loader loader;
  loader.Load(file, text.str());
  return policy::rules::Ruleset::Compile(loader.rules());
}

// Opens that the stable rules cannot want do not leave the kernel: reads are tested by name, failing ones are dropped.
TEST(WantedClasses, OfTheStableRules) {
  const auto rules = PeoplesRules("falco_rules.yaml");
  if (rules == nullptr)
    GTEST_SKIP() << "SLUICE_CORPORA names no directory with falco-rules/: people's files are not read";
  ASSERT_EQ(rules->rules().size(), 25U);
  const WantedClasses wanted = ComputeWantedClasses(Prefilter({rules}));
  const sl_call_filter& opens = wanted.filters[SL_CALL_OPENAT];
  const auto filter = [&](sl_call_outcome outcome, sl_call_descriptor descriptor, std::uint32_t open) {
    return opens.classes[SL_CALL_CLASS(static_cast<std::uint32_t>(outcome), descriptor, open)];
  };
  EXPECT_EQ(filter(SL_CALL_SUCCEEDED, SL_CALL_OF_DIRECTORY, SL_CALL_READS), SL_CALL_DROPPED);
  EXPECT_GE(filter(SL_CALL_SUCCEEDED, SL_CALL_OF_FILE, SL_CALL_READS), SL_CALL_FIRST_SET);
  EXPECT_GE(filter(SL_CALL_SUCCEEDED, SL_CALL_OF_FILE, SL_CALL_WRITES), SL_CALL_FIRST_SET);
  // What is there of the names.
  const std::uint8_t set = filter(SL_CALL_SUCCEEDED, SL_CALL_OF_FILE, SL_CALL_READS);
  const auto has = [&](const char* text, std::size_t size) {
    return std::ranges::any_of(wanted.names, [&](const sl_call_name_key& key) {
      return key.set == set && key.bits == 32 + size * 8 && std::memcmp(key.text, text, size) == 0;
    });
  };
  EXPECT_TRUE(has("/etc/shadow", 12));  // with its NUL
  const auto dup = [&](sl_call_descriptor descriptor) {
    return wanted.filters[SL_CALL_DUP2].classes[SL_CALL_CLASS(SL_CALL_SUCCEEDED, descriptor, 0)];
  };
  EXPECT_EQ(dup(SL_CALL_OF_IPV4), SL_CALL_WANTED);
  EXPECT_EQ(dup(SL_CALL_OF_FILE), SL_CALL_DROPPED);
  EXPECT_EQ(wanted.kinds >> SL_CALL_KILL & 1, 0U);
}

TEST(WantedClasses, ChangeWithTheRules) {
  const WantedClasses none = ComputeWantedClasses(Prefilter({}));
  EXPECT_EQ(none.kinds, 0U);
  EXPECT_TRUE(none.names.empty());
}

}  // namespace
}  // namespace sluice::calls
