// The index of a point against the compiled tables: it never leaves out a hook that wants a call, and leaves out most
// of the others. Here it is asked in C++; tests/hooks/reference_test.cc asks it in the kernel.
#include "kernel/hooks/point_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>

#include "bpf/lib/hook_index.h"
#include "policy/tracing/evaluate.h"
#include "tests/unit/policy_tracing/random_hook.h"
#include "tests/unit/policy_tracing/specs.h"

namespace sluice::hooks {
namespace {

using policy::tracing::ArgType;
using policy::tracing::Compilation;
using policy::tracing::CompiledHook;
using policy::tracing::CompiledPolicy;
using policy::tracing::Facts;
using policy::tracing::RandomHooks;
using policy::tracing::TracingPolicy;
using policy::tracing::ValueFacts;
using testing::ElementsAre;

constexpr std::uint32_t kSeed = 20261203;
constexpr std::uint64_t kAll = ~std::uint64_t{0};

std::uint64_t HooksInSlot(const IndexColumn& column, std::uint64_t key) {
  for (std::uint64_t i = 0; i < SL_HOOK_SLOT_TRIES; ++i) {
    const sl_hook_slot& slot = column.slots[((key >> 32U) + i) & column.column.slot_mask];
    if (slot.hooks == 0 || slot.key == key) return slot.hooks;
  }
  return 0;
}

std::uint64_t HashOf(const std::string& bytes, bool from_end) {
  std::uint64_t hash = SL_HOOK_INDEX_SEED;
  for (std::size_t done = 0; done < bytes.size(); done += 8) {
    const std::size_t size = std::min<std::size_t>(8, bytes.size() - done);
    std::uint64_t word = 0;
    std::memcpy(&word, &bytes[from_end ? bytes.size() - done - size : done], size);
    hash = sl_hook_index_hash(hash, word);
  }
  return hash;
}

std::uint64_t HooksOfText(const IndexColumn& column, const std::string& text) {
  const sl_hook_column& facts = column.column;
  const auto length = static_cast<std::uint32_t>(text.size());
  std::uint64_t hooks = 0;
  if (facts.whole != 0) {
    const std::uint64_t hash = HashOf(text.substr(0, SL_HOOK_INDEX_WORDS * 8), false);
    hooks |= HooksInSlot(column, sl_hook_index_key(hash, SL_HOOK_INDEX_WHOLE, length));
  }
  for (std::uint32_t bytes = 1; bytes <= length && bytes <= SL_HOOK_INDEX_WORDS * 8; ++bytes) {
    const bool in_words = bytes % 8 == 0;
    if (bytes > 8 && !in_words) continue;
    if (((in_words ? facts.prefix_words >> bytes / 8 : facts.prefix_bytes >> bytes) & 1U) != 0) {
      const std::uint64_t hash = HashOf(text.substr(0, bytes), false);
      hooks |= HooksInSlot(column, sl_hook_index_key(hash, SL_HOOK_INDEX_PREFIX, bytes));
    }
    if (((in_words ? facts.postfix_words >> bytes / 8 : facts.postfix_bytes >> bytes) & 1U) != 0) {
      const std::uint64_t hash = HashOf(text.substr(length - bytes), true);
      hooks |= HooksInSlot(column, sl_hook_index_key(hash, SL_HOOK_INDEX_POSTFIX, bytes));
    }
  }
  return hooks;
}

std::uint64_t HooksOfValue(const IndexColumn& column, const ValueFacts& value) {
  switch (column.column.face) {
    case SL_HOOK_FACE_NUMBER:
      return value.number ? HooksInSlot(column, sl_hook_index_key(sl_hook_index_hash(SL_HOOK_INDEX_SEED, *value.number),
                                                                  SL_HOOK_INDEX_NUMBER, 0))
                          : 0;
    case SL_HOOK_FACE_TEXT:
      return value.text ? HooksOfText(column, *value.text) : 0;
    default:
      return value.text ? HooksOfText(column, value.text->substr(value.text->rfind('/') + 1)) : 0;
  }
}

// As bits. The function's arguments are those of the facts.
std::uint64_t HooksThatMayWant(const std::vector<IndexColumn>& index, const Facts& facts) {
  std::uint64_t hooks = kAll;
  for (const IndexColumn& column : index)
    hooks &= column.column.others | HooksOfValue(column, facts.args[column.column.argument.index]);
  return hooks;
}

// Policies of one hook each on the same function.
class Hooks {
 public:
  void Add(const std::shared_ptr<const TracingPolicy>& policy) {
    const Compilation compiled = policy::tracing::Compile(policy, RandomHooks::Options());
    if (compiled.policy != nullptr) policies_.push_back(compiled.policy);
  }
  void Add(const std::string& spec) { Add(policy::tracing::PolicyOf(spec)); }

  std::vector<IndexColumn> Index() const {
    std::vector<IndexedHook> hooks;
    for (const auto& policy : policies_) hooks.push_back({&policy->hooks[0], &policy->hooks[0].hook});
    return MakeIndex(hooks);
  }
  std::size_t size() const { return policies_.size(); }
  bool Wants(std::size_t hook, const Facts& facts) const {
    return EvaluateTables(*policies_[hook], policies_[hook]->hooks[0], facts).selector.has_value();
  }

 private:
  std::vector<std::shared_ptr<const CompiledPolicy>> policies_;
};

struct Tally {
  int wanted = 0, left = 0, left_out = 0;
};

void Compare(const Hooks& hooks, const std::vector<IndexColumn>& index, const Facts& facts, Tally& tally) {
  const std::uint64_t may_want = HooksThatMayWant(index, facts);
  const std::uint32_t shift = sl_hook_index_shift(static_cast<std::uint32_t>(hooks.size()));
  for (std::size_t i = 0; i < hooks.size(); ++i) {
    const bool may = ((may_want >> (i >> shift)) & 1U) != 0;
    const bool wants = hooks.Wants(i, facts);
    ASSERT_TRUE(may || !wants) << "hook " << i << " of " << hooks.size();
    tally.wanted += wants ? 1 : 0;
    tally.left += may ? 1 : 0;
    tally.left_out += may ? 0 : 1;
  }
}

// A path begins with a slash.
void MakePaths(const std::vector<ArgType>& types, Facts& facts) {
  for (std::size_t i = 0; i < types.size(); ++i) {
    auto& text = facts.args[i].text;
    if (types[i] != ArgType::kString && text && !text->starts_with('/')) text = "/" + *text;
  }
}

TEST(PointIndex, LeavesEveryHookThatWantsTheCall) {
  RandomHooks random(kSeed);
  Tally tally;
  const std::vector<std::vector<ArgType>> kTypes = {{ArgType::kFile, ArgType::kInt},
                                                    {ArgType::kString, ArgType::kUint32, ArgType::kPath},
                                                    {ArgType::kInt64, ArgType::kString},
                                                    {ArgType::kFd}};
  for (int round = 0; round < 200; ++round) {
    const std::vector<ArgType>& types = kTypes[static_cast<std::size_t>(round) % kTypes.size()];
    Hooks hooks;
    for (int i = 0; i <= round; ++i)
      hooks.Add(std::make_shared<const TracingPolicy>(random.PolicyOnCall("security_file_open", 0, types)));
    const std::vector<IndexColumn> index = hooks.Index();
    for (int call = 0; call < 10; ++call) {
      Facts facts{.subject = {.host = true}, .process = {}, .args = {}, .data = {}, .result = {}};
      for (const ArgType type : types) facts.args.push_back(random.AnyValue(type));
      MakePaths(types, facts);
      Compare(hooks, index, facts, tally);
      ASSERT_FALSE(HasFatalFailure()) << "round " << round << ", call " << call;
    }
  }
  EXPECT_GT(tally.wanted, 10'000);
  EXPECT_GT(tally.left_out, 1000);
}

std::string OnFile(const std::string& selectors) {
  return policy::tracing::Kprobe(
      "call: security_file_permission, syscall: false, args: [{index: 0, type: file}, {index: 1, type: int}], "
      "selectors: [" +
      selectors + "]");
}
std::string OnText(const std::string& filter) {
  return policy::tracing::Kprobe(
      "call: strlen, syscall: false, args: [{index: 0, type: string}], selectors: [{matchArgs: [{index: 0, operator: " +
      filter + "}]}]");
}

std::vector<int> FacesOf(const std::vector<IndexColumn>& index) {
  std::vector<int> faces;
  for (const IndexColumn& column : index) faces.push_back(column.column.face);
  return faces;
}

Facts Called(const std::string& text, std::optional<std::uint64_t> number = std::nullopt) {
  Facts facts{.subject = {.host = true}, .process = {}, .args = {}, .data = {}, .result = {}};
  facts.args.resize(2);
  facts.args[0].text = text;
  facts.args[1].number = number;
  return facts;
}

TEST(PointIndex, OfAPathTheNameIsLookedUp) {
  Hooks hooks;
  hooks.Add(
      OnFile("{matchArgs: [{index: 0, operator: Equal, values: [/etc/shadow, /etc/gshadow]}, {index: 1, operator: "
             "Equal, values: [4]}]}"));
  hooks.Add(OnFile("{matchArgs: [{index: 0, operator: Postfix, values: [.ssh/id_rsa, .pem]}]}"));
  const std::vector<IndexColumn> index = hooks.Index();
  EXPECT_THAT(FacesOf(index), ElementsAre(SL_HOOK_FACE_NUMBER, SL_HOOK_FACE_NAME));
  EXPECT_EQ(HooksThatMayWant(index, Called("/etc/shadow", 4)), 1U);
  EXPECT_EQ(HooksThatMayWant(index, Called("/home/shadow", 4)), 1U) << "the name alone does not tell them apart";
  EXPECT_EQ(HooksThatMayWant(index, Called("/etc/shadow", 2)), 0U);
  EXPECT_EQ(HooksThatMayWant(index, Called("/etc/shadow/x", 4)), 0U);
  EXPECT_EQ(HooksThatMayWant(index, Called("/home/id_rsa", 4)), 2U);
  EXPECT_EQ(HooksThatMayWant(index, Called("/home/key.pem", 2)), 2U);
  EXPECT_EQ(HooksThatMayWant(index, Called("/home/key.pem.gz", 2)), 0U);
}

TEST(PointIndex, ABeginningOfAPathNeedsThePath) {
  Hooks hooks;
  hooks.Add(OnFile("{matchArgs: [{index: 0, operator: Prefix, values: [/etc/, /usr/local/bin/]}]}"));
  hooks.Add(OnFile("{matchArgs: [{index: 0, operator: Equal, values: [/etc/shadow]}]}"));
  const std::vector<IndexColumn> index = hooks.Index();
  EXPECT_THAT(FacesOf(index), ElementsAre(SL_HOOK_FACE_NAME, SL_HOOK_FACE_TEXT));
  EXPECT_EQ(HooksThatMayWant(index, Called("/etc/passwd")), 1U);
  EXPECT_EQ(HooksThatMayWant(index, Called("/etc/shadow")), 3U);
  EXPECT_EQ(HooksThatMayWant(index, Called("/usr/local/bin/x")), 1U);
  EXPECT_EQ(HooksThatMayWant(index, Called("/usr/lib/x")), 0U);
}

TEST(PointIndex, EachSelectorMustLookAtTheValue) {
  Hooks hooks;
  hooks.Add(
      OnFile("{matchArgs: [{index: 0, operator: Equal, values: [/etc/shadow]}]}, {matchArgs: [{index: 1, operator: "
             "Equal, values: [4]}]}"));
  hooks.Add(OnFile("{matchArgs: [{index: 0, operator: NotEqual, values: [/etc/shadow]}]}"));
  hooks.Add(OnFile("{matchArgs: [{index: 0, operator: SubString, values: [shadow]}]}"));
  hooks.Add(OnFile("{matchArgs: [{index: 1, operator: GT, values: [4]}]}"));
  hooks.Add(OnFile("{matchPIDs: [{operator: In, values: [1]}]}"));
  EXPECT_TRUE(hooks.Index().empty()) << "none can be looked up";
}

TEST(PointIndex, FewLengthsAreLookedUp) {
  Hooks hooks;
  std::string text;
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    text += letter;
    hooks.Add(OnText("Prefix, values: [" + text + "]"));
    hooks.Add(OnText("Postfix, values: [" + text + "]"));
  }
  const std::vector<IndexColumn> index = hooks.Index();
  ASSERT_EQ(index.size(), 1U);
  const sl_hook_column& column = index[0].column;
  EXPECT_LE(std::popcount(column.prefix_words) + std::popcount(column.prefix_bytes), 4);
  EXPECT_LE(std::popcount(column.postfix_words) + std::popcount(column.postfix_bytes), 4);
  Tally tally;
  for (const std::string value : {"abcdefghijklmnopqrstuvwxyz", "abc", "abcdefghi", "zabcdefghij", "bcd", ""})
    Compare(hooks, index, Called(value), tally);
  EXPECT_GT(tally.wanted, 30);
  EXPECT_GT(tally.left_out, 60);
}

TEST(PointIndex, ManyHooksShareBits) {
  Hooks hooks;
  for (int i = 0; i < 1000; ++i) hooks.Add(OnText(fmt::format("Equal, values: [/etc/secret-{}]", i)));
  const std::vector<IndexColumn> index = hooks.Index();
  ASSERT_EQ(index.size(), 1U);
  EXPECT_EQ(HooksThatMayWant(index, Called("/etc/secret-1000")), 0U);
  EXPECT_EQ(HooksThatMayWant(index, Called("/etc/secret-17")), 2U) << "with fifteen others";
  EXPECT_LE(index[0].slots.size(), 8192U);
}

TEST(PointIndex, ALongTextIsToldByItsBeginningAndLength) {
  Hooks hooks;
  const std::string long_text(300, 'x');
  hooks.Add(OnText("Equal, values: [" + long_text + "]"));
  const std::vector<IndexColumn> index = hooks.Index();
  EXPECT_EQ(HooksThatMayWant(index, Called(long_text)), 1U);
  EXPECT_EQ(HooksThatMayWant(index, Called(long_text.substr(1) + "y")), 1U);
  EXPECT_EQ(HooksThatMayWant(index, Called(long_text + "x")), 0U);
}

}  // namespace
}  // namespace sluice::hooks
