// Compiled hooks as text, so that a test says in a line what it expects:
//   "arg0 == /default.json & arg1 4..4 signed"         filters
//   "not (arg0 22..22 | arg0 80..80) ; always"         values of a filter; selectors
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "policy/tracing/compile.h"
#include "tests/unit/policy_tracing/specs.h"

namespace sluice::policy::tracing {

inline std::string NameOfField(int field) {
  static constexpr const char* kNames[] = {
#define SL_X(name) #name,
      SL_HOOK_FIELDS(SL_X)
#undef SL_X
  };
  return kNames[field];
}

inline std::string OperandOf(const sl_hook_test& test) {
  if (test.field >= SL_HOOK_FIELD_PID && test.field <= SL_HOOK_FIELD_PARENT_BINARY) return NameOfField(test.field);
  const std::string value = test.argument == SL_HOOK_ARGUMENTS ? "result" : fmt::format("arg{}", test.argument);
  return test.field == SL_HOOK_FIELD_VALUE ? value : value + "." + NameOfField(test.field);
}

inline std::string TextOfWords(const CompiledHook& hook, const sl_hook_test& test) {
  std::string text(reinterpret_cast<const char*>(hook.words.data() + test.first), test.last);
  const std::uint64_t last = hook.words[test.first + (test.last - 1) / 8];
  const auto rest = static_cast<unsigned>(test.last % 8);
  EXPECT_TRUE(rest == 0 || last >> (8 * rest) == 0) << "the last word of " << text << " has more than the text";
  return text;
}

inline std::string TextOfAddress(const sl_hook_test& test) {
  unsigned char bytes[16];
  std::memcpy(bytes, &test.first, 8);
  std::memcpy(bytes + 8, &test.last, 8);
  char text[INET6_ADDRSTRLEN];
  return fmt::format("in {}/{}", inet_ntop(AF_INET6, bytes, text, sizeof(text)), test.detail);
}

inline std::string TextOfTest(const CompiledHook& hook, const sl_hook_test& test) {
  const std::string operand = OperandOf(test);
  switch (test.kind) {
    case SL_HOOK_TEST_ALWAYS:
      return "always";
    case SL_HOOK_TEST_RANGE:
      return fmt::format("{} {}..{}", operand, test.first, test.last);
    case SL_HOOK_TEST_SIGNED_RANGE:
      return fmt::format("{} {}..{} signed", operand, static_cast<std::int64_t>(test.first),
                         static_cast<std::int64_t>(test.last));
    case SL_HOOK_TEST_MASK:
      return fmt::format("{} & {:#x}", operand, test.first);
    case SL_HOOK_TEST_IN_SET: {
      std::string text;
      for (const std::uint64_t number : hook.sets[test.first])
        text += fmt::format(" {}", static_cast<std::int64_t>(number));
      return fmt::format("{} in{}", operand, text);
    }
    case SL_HOOK_TEST_EQUAL:
      return fmt::format("{} == {}", operand, TextOfWords(hook, test));
    case SL_HOOK_TEST_PREFIX:
      return fmt::format("{} begins {}", operand, TextOfWords(hook, test));
    case SL_HOOK_TEST_POSTFIX:
      return fmt::format("{} ends {}", operand, TextOfWords(hook, test));
    case SL_HOOK_TEST_CONTAINS:
      return fmt::format("{} has {}", operand, TextOfWords(hook, test));
    case SL_HOOK_TEST_CONTAINS_ANY_CASE:
      return fmt::format("{} has in any case {}", operand, TextOfWords(hook, test));
    case SL_HOOK_TEST_ADDRESS:
      return fmt::format("{} {}", operand, TextOfAddress(test));
    case SL_HOOK_TEST_GAINED:
      return fmt::format("{} gained over arg{}", operand, test.detail);
    case SL_HOOK_TEST_SCOPE:
      return fmt::format("scope {}", test.first);
    case SL_HOOK_TEST_FORKED_FROM:
      return fmt::format("forked from {}{}", test.first,
                         test.field == SL_HOOK_FIELD_NAMESPACED_PID ? " in its namespace" : "");
    case SL_HOOK_TEST_MARKED:
      return fmt::format("marked {}", test.first);
    case SL_HOOK_TEST_CHANGED_NAMESPACE:
      return operand + " changed";
    case SL_HOOK_TEST_CHANGED_CAPABILITY:
      return fmt::format("{} changed in {:#x}", operand, test.first);
    default:
      return fmt::format("{} kind {} {}", operand, test.kind, test.first);
  }
}

// The tests [begin, end) of all selectors.
inline std::string TextOfTests(const CompiledHook& hook, std::size_t begin, std::size_t end) {
  std::string text;
  for (std::size_t i = begin; i < end;) {
    const std::size_t selector_last = hook.tests[i].selector_last;
    if (i != begin) text += " ; ";
    for (bool first = true; i <= selector_last; first = false) {
      const std::size_t filter_last = hook.tests[i].filter_last;
      const bool negated = hook.tests[i].flags == SL_HOOK_TEST_NEGATED;
      std::string filter;
      for (std::size_t value = i; value <= filter_last; ++value) {
        const sl_hook_test& test = hook.tests[value];
        EXPECT_EQ(test.filter_last, filter_last);
        EXPECT_EQ(test.selector_last, selector_last);
        EXPECT_EQ(test.flags, negated ? SL_HOOK_TEST_NEGATED : 0);
        EXPECT_EQ(test.selector, hook.tests[begin].selector + std::count(text.begin(), text.end(), ';'));
        filter += (filter.empty() ? "" : " | ") + TextOfTest(hook, test);
      }
      text += (first ? "" : " & ") + (negated ? "not (" + filter + ")" : filter);
      i = filter_last + 1;
    }
  }
  return text;
}

// Tests up to the return, and " return " with those of the return, if there are some.
inline std::string TextOf(const CompiledHook& hook) {
  EXPECT_EQ(hook.hook.test_count, hook.tests.size());
  const std::size_t begin = hook.tests.size() - hook.hook.return_tests;
  std::string text = TextOfTests(hook, 0, begin);
  if (hook.hook.return_tests != 0) text += " return " + TextOfTests(hook, begin, hook.tests.size());
  return text;
}

inline std::optional<std::uint32_t> NumberOfTests(std::string_view syscall) {
  if (syscall == "dup") return 32;
  return syscall == "dup2" ? std::optional(33U) : std::nullopt;
}

inline CompileOptions OptionsOfTests() {
  CompileOptions options;
  options.syscall_number = NumberOfTests;
  for (std::size_t i = 0; i < kNamespaceTypeCount; ++i)
    options.host_namespaces[i] = static_cast<std::uint32_t>(100 + i);
  return options;
}

inline Compilation CompileSpec(const std::string& spec, const std::string& ns = "") {
  const ParsedSpec parsed = ParseSpec(spec, ns);
  EXPECT_TRUE(parsed.problems.empty()) << spec << ": " << parsed.problems.front().what;
  return parsed.policy == nullptr ? Compilation() : Compile(parsed.policy, OptionsOfTests());
}

// The compiled hooks of a spec without problems.
inline std::vector<CompiledHook> HooksOf(const std::string& spec) {
  const Compilation compiled = CompileSpec(spec);
  EXPECT_TRUE(compiled.problems.empty()) << spec << ": " << compiled.problems.front().what;
  return compiled.policy == nullptr ? std::vector<CompiledHook>() : compiled.policy->hooks;
}

// Of a spec with one hook.
inline CompiledHook HookOf(const std::string& spec) {
  const std::vector<CompiledHook> hooks = HooksOf(spec);
  EXPECT_EQ(hooks.size(), 1U) << spec;
  return hooks.empty() ? CompiledHook() : hooks[0];
}

// "FIELD: why" of the only problem; "no problem", or all of them.
inline std::string RefusalOf(const std::string& spec) {
  const Compilation compiled = CompileSpec(spec);
  if (compiled.problems.empty()) return "no problem";
  EXPECT_EQ(compiled.policy, nullptr);
  std::string text;
  for (const Problem& problem : compiled.problems) text += (text.empty() ? "" : "\n") + problem.what;
  return text;
}

}  // namespace sluice::policy::tracing
