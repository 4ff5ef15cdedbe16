// Room for new process classes: which ones the agent removes, and under which key.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <thread>

#include "kernel/datapath/process_classes.h"
#include "tests/support/environment.h"

namespace sluice::test {
namespace {

using testing::Optional;

constexpr std::uint64_t kLongAgo = 0, kNow = 3600'000'000'000;
constexpr std::uint32_t kPid = 1, kShare = 9;

sl_process_facts Facts(std::uint32_t program) { return {.program = program, .script = 0, .flags = 0, .ancestors = {}}; }

sl_process_class Class(std::uint32_t program, std::uint64_t used_ns = kLongAgo) {
  sl_process_class one{};
  one.facts = Facts(program);
  one.used_ns = used_ns;
  return one;
}

class ProcessClassesTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!MissingBpfRight().empty()) return;
    auto object = bpf::DatapathObject::Load({.uplinks = false});
    ASSERT_TRUE(object.ok()) << object.status();
    object_ = *std::move(object);
  }
  static void TearDownTestSuite() { object_.reset(); }

  void SetUp() override {
    SL_REQUIRE_BPF();
    ASSERT_NE(object_, nullptr);
    ASSERT_TRUE(tended_.Bind(*object_).ok());
    const auto bind = [&](auto& map, const char* name) {
      auto bound = std::remove_reference_t<decltype(map)>::Bind(object_->map_fd(name), name);
      ASSERT_TRUE(bound.ok()) << bound.status();
      map = *bound;
    };
    bind(classes_, "process_classes");
    bind(numbers_, "process_class_numbers");
    bind(processes_, "processes");
    bind(programs_, "programs");
    bind(share_of_, "process_share_of");
    bind(shares_, "process_shares");
    bind(freed_, "process_shares_freed");
    Clear(classes_);
    Clear(numbers_);
    Clear(processes_);
    Clear(programs_);
    Clear(share_of_);
    for (const std::uint32_t share : {static_cast<std::uint32_t>(SL_SHARE_TOTAL), kShare}) {
      ASSERT_TRUE(shares_.Put(share, {}).ok());
      ASSERT_TRUE(freed_.Put(share, {}).ok());
    }
  }

  template <typename K, typename V>
  static void Clear(const bpf::Map<K, V>& map) {
    std::vector<K> keys;
    ASSERT_TRUE(map.ForEachBatch([&](const K& key, const V&) { keys.push_back(key); }).ok());
    ASSERT_TRUE(map.DeleteAll(keys).ok());
  }

  // Adds idle classes from `first` on, each with its key, until more than half of the table is full.
  void Fill(std::uint32_t first) {
    std::vector<sl_process_class_number> numbers;
    std::vector<sl_process_class> classes;
    std::vector<sl_process_facts> keys;
    for (std::uint32_t i = 0; i <= classes_.capacity() / 2; ++i) {
      numbers.push_back(first + i);
      classes.push_back(Class(first + i));
      keys.push_back(Facts(first + i));
    }
    ASSERT_TRUE(classes_.PutAll(numbers, classes).ok());
    ASSERT_TRUE(numbers_.PutAll(keys, numbers).ok());
  }
  void Put(std::uint32_t number, const sl_process_class& one) { ASSERT_TRUE(classes_.Put(number, one).ok()); }
  void PutKey(const sl_process_facts& facts, std::uint32_t number) { ASSERT_TRUE(numbers_.Put(facts, number).ok()); }
  void Tend(const std::set<std::uint32_t>& of_flows = {}) {
    const Status tended = tended_.Tend(kNow, [&](std::set<std::uint32_t>& in_use) {
      in_use.insert(of_flows.begin(), of_flows.end());
      return OkStatus();
    });
    ASSERT_TRUE(tended.ok()) << tended;
  }
  bool IsThere(std::uint32_t number) { return classes_.Get(number).value().has_value(); }
  std::optional<std::uint32_t> NumberOf(const sl_process_facts& facts) { return numbers_.Get(facts).value(); }
  template <typename Map>
  static std::size_t Entries(const Map& map) {
    std::size_t entries = 0;
    EXPECT_TRUE(map.ForEachBatch([&](const auto&, const auto&) { ++entries; }).ok());
    return entries;
  }

  static inline std::unique_ptr<bpf::DatapathObject> object_;
  datapath::ProcessClasses tended_;
  bpf::Map<sl_process_class_number, sl_process_class> classes_;
  bpf::Map<sl_process_facts, sl_process_class_number> numbers_;
  bpf::Map<std::uint32_t, sl_process> processes_;
  bpf::Map<sl_program_path, sl_program> programs_;
  bpf::Map<std::uint32_t, std::uint32_t> share_of_;
  bpf::Map<std::uint32_t, sl_process_share> shares_;
  bpf::Map<std::uint32_t, sl_process_share_freed> freed_;
};

TEST_F(ProcessClassesTest, StayWhileThereIsRoom) {
  Put(1, Class(1));
  PutKey(Facts(1), 1);
  Tend();
  EXPECT_TRUE(IsThere(1));
  EXPECT_THAT(NumberOf(Facts(1)), Optional(1U));
}

// More than half of the table is full, so the agent looks through it.
TEST_F(ProcessClassesTest, ThoseInUseStayAndTheOthersGoWithTheirKeys) {
  Fill(100);
  sl_process process{};
  process.process_class = 100;
  ASSERT_TRUE(processes_.Put(kPid, process).ok());
  Put(101, Class(101, kNow));
  // Its program's path was removed, so fewer facts are known than when it got its key.
  Put(103, Class(SL_PROGRAM_UNKNOWN));
  // Class 1 was in use when it was about to be removed; since then processes of its kind get class 2.
  Put(1, Class(7));
  Put(2, Class(7, kNow));
  PutKey(Facts(7), 2);
  PutKey(Facts(8), 3);  // of a class that was removed
  Tend({102});
  EXPECT_EQ(Entries(classes_), 4U);
  EXPECT_EQ(Entries(numbers_), 4U);
  for (const std::uint32_t number : {100, 101, 102}) {
    EXPECT_TRUE(IsThere(number));
    EXPECT_THAT(NumberOf(Facts(number)), Optional(number));
  }
  EXPECT_TRUE(IsThere(2));
  EXPECT_THAT(NumberOf(Facts(7)), Optional(2U));
}

// Programs that only idle classes use: many distinct paths in one pod, or on an old node. The two collectors do not
// wait for each other.
TEST_F(ProcessClassesTest, ProgramsThatNobodyRunsAnyMoreMakeRoom) {
  const std::uint32_t count = programs_.capacity();
  std::vector<sl_program_path> paths(count);
  std::vector<sl_program> programs(count);
  std::vector<sl_process_class_number> numbers(count);
  std::vector<sl_process_class> classes(count);
  std::vector<sl_process_facts> keys(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    std::snprintf(paths[i].text, sizeof(paths[i].text), "/build/%u", i);
    programs[i].number = numbers[i] = i + 1;
    programs[i].share = kShare;
    classes[i] = Class(i + 1);
    classes[i].share = kShare;
    keys[i] = Facts(i + 1);
  }
  ASSERT_TRUE(programs_.PutAll(paths, programs).ok());
  ASSERT_TRUE(classes_.PutAll(numbers, classes).ok());
  ASSERT_TRUE(numbers_.PutAll(keys, numbers).ok());
  sl_process process{};
  process.process_class = 7;  // one of them runs
  ASSERT_TRUE(processes_.Put(kPid, process).ok());
  sl_process_share added{};
  added.added[SL_SHARED_PROGRAMS] = added.added[SL_SHARED_CLASSES] = count;
  ASSERT_TRUE(shares_.Put(kShare, added).ok());
  ASSERT_TRUE(shares_.Put(SL_SHARE_TOTAL, added).ok());
  Tend();
  Tend();
  EXPECT_EQ(Entries(programs_), 1U);
  EXPECT_EQ(Entries(classes_), 1U);
  EXPECT_TRUE(IsThere(7));
  EXPECT_TRUE(programs_.Get(paths[6]).value());
  for (const std::uint32_t share : {static_cast<std::uint32_t>(SL_SHARE_TOTAL), kShare})
    EXPECT_EQ(added.added[SL_SHARED_PROGRAMS] - freed_.Get(share).value()->freed[SL_SHARED_PROGRAMS], 1U)
        << "what the share has now";
}

// An exec adds its program first, then its class.
TEST_F(ProcessClassesTest, AnExecWhileTheyAreMatchedKeepsItsProgram) {
  constexpr std::uint32_t kExecs = 2000;
  ASSERT_TRUE(tended_.SetPatterns(0, {}).ok());
  std::atomic<bool> done{false};
  std::thread execs([&] {
    for (std::uint32_t i = 1; i <= kExecs; ++i) {
      sl_program_path path{};
      std::snprintf(path.text, sizeof(path.text), "/bin/%u", i);
      sl_program program{};
      program.number = i;
      ASSERT_TRUE(programs_.Put(path, program).ok());
      ASSERT_TRUE(classes_.Put(i, Class(i, kNow)).ok());
    }
    done = true;
  });
  while (!done) Tend();
  execs.join();
  for (std::uint32_t i = 1; i <= kExecs; ++i) EXPECT_EQ(classes_.Get(i).value()->facts.program, i);
}

TEST_F(ProcessClassesTest, EachNetworkNamespaceHasAShare) {
  ASSERT_TRUE(tended_.SetShares({11, 12}).ok());
  const auto first = share_of_.Get(11).value(), second = share_of_.Get(12).value();
  ASSERT_TRUE(first && second);
  EXPECT_NE(*first, *second);
  EXPECT_GE(std::min(*first, *second), static_cast<std::uint32_t>(SL_SHARE_FIRST));
  EXPECT_EQ(freed_.Get(SL_SHARE_TOTAL).value()->parts, 3U) << "and one for all others";
  ASSERT_TRUE(tended_.SetShares({12, 13}).ok());
  EXPECT_FALSE(share_of_.Get(11).value());
  EXPECT_EQ(share_of_.Get(12).value(), second);
  EXPECT_NE(share_of_.Get(13).value(), first) << "of the first there may be entries yet";
}

TEST_F(ProcessClassesTest, TheNextAgentGivesNoShareThatSomebodyWhoLeftHasEntriesOf) {
  ASSERT_TRUE(tended_.SetShares({11, 12, 13}).ok());
  const auto last = share_of_.Get(13).value();
  ASSERT_TRUE(last);
  ASSERT_TRUE(tended_.SetShares({11, 12}).ok());
  ASSERT_TRUE(shares_.Put(*last, {.added = {1, 0, 0}, .refused = {}}).ok());
  datapath::ProcessClasses next;
  ASSERT_TRUE(next.Bind(*object_).ok());
  ASSERT_TRUE(next.SetShares({11, 12, 14}).ok());
  EXPECT_GT(share_of_.Get(14).value(), last);
  ASSERT_TRUE(shares_.Put(*last, {}).ok());
}

TEST_F(ProcessClassesTest, WhatWasRefusedIsSaid) {
  sl_process_share all{};
  all.refused[SL_SHARED_PROGRAMS] = 5;
  all.refused[SL_SHARED_CLASSES] = 6;
  ASSERT_TRUE(shares_.Put(SL_SHARE_TOTAL, all).ok());
  const auto fill = tended_.ReadFill();
  ASSERT_TRUE(fill.ok());
  EXPECT_EQ(fill->at(0).refused, 5U);
  EXPECT_EQ(fill->at(1).refused, 6U);
}

}  // namespace
}  // namespace sluice::test
