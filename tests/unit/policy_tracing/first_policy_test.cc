// The policy that has to work first, word for word as its users write it.
#include "policy/tracing/compile.h"
#include "tests/support/first_hook_policy.h"
#include "tests/unit/policy_tracing/specs.h"

namespace sluice::policy::tracing {
namespace {

using test::kPreventRead;

TEST(TracingFirstPolicy, IsReadWhole) {
  const std::string text(kPreventRead);
  const ParsedSpec parsed = ParseDocument(text.substr(text.find('\n') + 1));
  ASSERT_NE(parsed.policy, nullptr) << parsed.problems.front().what;
  ASSERT_EQ(parsed.policy->hooks.size(), 1U);
  EXPECT_FALSE(parsed.policy->scope.pods.has_value());
  const Hook& hook = parsed.policy->hooks[0];
  EXPECT_EQ(hook.kind, HookKind::kKprobe);
  EXPECT_EQ(hook.place.line, 7);
  const auto& target = std::get<FunctionTarget>(hook.target);
  EXPECT_EQ(target.function, "security_file_permission");
  EXPECT_FALSE(target.syscall);
  ASSERT_EQ(hook.args.size(), 2U);
  EXPECT_EQ(hook.args[0].type, ArgType::kFile);
  EXPECT_EQ(hook.args[1].index, 1);
  EXPECT_EQ(hook.args[1].type, ArgType::kInt);
  EXPECT_TRUE(hook.returns);
  EXPECT_EQ(hook.return_arg->type, ArgType::kInt);
  EXPECT_EQ(hook.return_action, ActionType::kPost);
  ASSERT_EQ(hook.selectors.size(), 1U);
  const HookSelector& selector = hook.selectors[0];
  ASSERT_EQ(selector.args.size(), 2U);
  EXPECT_EQ(selector.args[0].argument, 0U);
  EXPECT_EQ(selector.args[0].op, Operator::kEqual);
  EXPECT_EQ(selector.args[0].values.texts, std::vector<std::string>{"/default.json"});
  EXPECT_EQ(selector.args[1].argument, 1U);
  EXPECT_EQ(selector.args[1].values.numbers, (std::vector<NumberRange>{{4, 4}}));
  ASSERT_EQ(selector.actions.size(), 1U);
  EXPECT_EQ(selector.actions[0].type, ActionType::kSigkill);
}

TEST(TracingFirstPolicy, BecomesTables) {
  const std::string text(kPreventRead);
  const Compilation compiled = Compile(ParseDocument(text.substr(text.find('\n') + 1)).policy);
  ASSERT_TRUE(compiled.problems.empty()) << compiled.problems.front().what;
  ASSERT_EQ(compiled.policy->scopes.size(), 1U);
  ASSERT_EQ(compiled.policy->hooks.size(), 1U);
  const CompiledHook& hook = compiled.policy->hooks[0];
  EXPECT_EQ(hook.point, (HookPoint{HookPoint::Kind::kFunction, "", "security_file_permission"}));
  EXPECT_EQ(hook.place.line, 7);
  EXPECT_EQ(hook.hook.flags, SL_HOOK_RETURNS);
  ASSERT_EQ(hook.hook.argument_count, 2);
  EXPECT_EQ(hook.hook.arguments[0].index, 0);
  EXPECT_EQ(hook.hook.arguments[0].read, SL_HOOK_READ_FILE);
  EXPECT_EQ(hook.hook.arguments[0].flags, 0);
  EXPECT_EQ(hook.hook.arguments[1].index, 1);
  EXPECT_EQ(hook.hook.arguments[1].read, SL_HOOK_READ_NUMBER);
  EXPECT_EQ(hook.hook.arguments[1].size, 4);
  EXPECT_EQ(hook.hook.arguments[1].flags, SL_HOOK_ARGUMENT_SIGNED);
  EXPECT_EQ(hook.hook.return_value.index, SL_HOOK_INDEX_RETURN);
  EXPECT_EQ(hook.hook.return_value.read, SL_HOOK_READ_NUMBER);
  EXPECT_EQ(hook.hook.return_value.flags, SL_HOOK_ARGUMENT_SIGNED | SL_HOOK_ARGUMENT_AT_RETURN);
  ASSERT_EQ(hook.hook.test_count, 2);
  EXPECT_EQ(hook.hook.return_tests, 0);
  EXPECT_EQ(hook.tests[0].kind, SL_HOOK_TEST_EQUAL);
  EXPECT_EQ(hook.tests[0].first, 0U);
  EXPECT_EQ(hook.tests[0].last, 13U);
  EXPECT_EQ(hook.tests[0].filter_last, 0);
  EXPECT_EQ(hook.tests[0].selector_last, 1);
  EXPECT_EQ(hook.words, (std::vector<std::uint64_t>{0x746c75616665642f, 0x6e6f736a2e}));
  EXPECT_EQ(hook.tests[1].kind, SL_HOOK_TEST_SIGNED_RANGE);
  EXPECT_EQ(hook.tests[1].argument, 1);
  EXPECT_EQ(hook.tests[1].first, 4U);
  EXPECT_EQ(hook.tests[1].last, 4U);
  EXPECT_EQ(hook.tests[1].filter_last, 1);
  EXPECT_EQ(hook.tests[1].selector_last, 1);
  ASSERT_EQ(hook.selectors.size(), 1U);
  EXPECT_EQ(hook.selectors[0].actions, SL_HOOK_ACTION_POST | SL_HOOK_ACTION_SIGNAL);
  EXPECT_EQ(hook.selectors[0].return_actions, 0U);
  EXPECT_EQ(hook.selectors[0].signal, 9);
}

TEST(TracingFirstPolicy, IsCheckedByFileLineFieldAndValue) {
  std::string text(kPreventRead);
  const auto checked = [&] { return ParseText("p.yaml", text, {.more_kinds = KindParsers(Reading::kParsed)}); };
  EXPECT_TRUE(checked().problems.empty());
  ASSERT_EQ(checked().resources.size(), 1U);
  EXPECT_EQ(checked().resources[0].id.ToString(), "TracingPolicy prevent-default-json-read");
  EXPECT_NE(checked().resources[0].tracing, nullptr);
  text.replace(text.find("\"4\""), 3, "\"r\"");
  ASSERT_EQ(checked().problems.size(), 1U);
  EXPECT_EQ(checked().problems[0].ToString("p.yaml"),
            "p.yaml:28: TracingPolicy prevent-default-json-read: "
            "spec.kprobes[0].selectors[0].matchArgs[1].values[0]: must be a number of type int (-2147483648 to "
            "2147483647), got \"r\"");
  EXPECT_TRUE(checked().resources.empty());
}

}  // namespace
}  // namespace sluice::policy::tracing
