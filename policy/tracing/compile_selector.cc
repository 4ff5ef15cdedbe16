// Selectors: the tests of all their filters in order, and their actions.
#include <limits>

#include "policy/tracing/compile_parts.h"

namespace sluice::policy::tracing {
namespace {

constexpr std::size_t kMostTests = std::numeric_limits<std::uint16_t>::max();

// The filters of one selector that are compared at one time.
void AddTests(std::vector<FilterTests> filters, std::size_t selector, std::vector<sl_hook_test>& tests) {
  if (filters.empty()) filters.push_back({.tests = {MakeTest(SL_HOOK_TEST_ALWAYS, SL_HOOK_FIELD_VALUE)}});
  const std::size_t begin = tests.size();
  for (const FilterTests& filter : filters) {
    const std::size_t last = tests.size() + filter.tests.size() - 1;
    for (sl_hook_test test : filter.tests) {
      test.flags = filter.negated ? SL_HOOK_TEST_NEGATED : 0;
      test.selector = static_cast<std::uint8_t>(selector);
      test.filter_last = static_cast<std::uint16_t>(last);
      tests.push_back(test);
    }
  }
  for (std::size_t i = begin; i < tests.size(); ++i) {
    tests[i].selector_last = static_cast<std::uint16_t>(tests.size() - 1);
  }
}

struct SelectorFilters {
  std::vector<FilterTests> enter;
  std::vector<FilterTests> exit;
};

SelectorFilters CompileFilters(const HookParts& parts, const HookSelector& selector, const PolicyField& field,
                               CompiledHook& compiled, std::vector<Scope>& scopes) {
  const Hook& hook = parts.hook;
  SelectorFilters out;
  out.enter = CompileProcessFilters(parts, selector, field, compiled, scopes);
  std::vector<FilterTests>& of_arguments = IsSyscallExit(hook) ? out.exit : out.enter;
  for (std::size_t i = 0; i < selector.args.size(); ++i) {
    const ArgumentFilter& filter = selector.args[i];
    const PolicyField at = field.At("matchArgs", i);
    if (hook.args[filter.argument].return_copy) at.NotYet("filters on an argument with returnCopy");
    of_arguments.push_back(
        CompileArgumentFilter(parts, filter, hook.args[filter.argument], filter.argument, at, compiled));
  }
  for (std::size_t i = 0; i < selector.data.size(); ++i) {
    const ArgumentFilter& filter = selector.data[i];
    of_arguments.push_back(CompileArgumentFilter(parts, filter, hook.data[filter.argument],
                                                 hook.args.size() + filter.argument, field.At("matchData", i),
                                                 compiled));
  }
  for (std::size_t i = 0; i < selector.return_args.size(); ++i) {
    if (InfoOf(hook.return_arg->type).bits == 0) {
      field.At("matchReturnArgs", i)
          .NotYet(fmt::format("filters on a result of type {}", InfoOf(hook.return_arg->type).name));
    }
    out.exit.push_back(CompileArgumentFilter(parts, selector.return_args[i], *hook.return_arg, SL_HOOK_ARGUMENTS,
                                             field.At("matchReturnArgs", i), compiled));
  }
  return out;
}

// Whether the event has to wait for the function's return.
bool Holds(const Hook& hook) {
  const bool of_value = hook.returns && hook.return_action && *hook.return_action != ActionType::kPost;
  if (IsSyscallExit(hook) || of_value) return true;
  for (const HookSelector& selector : hook.selectors) {
    if (!selector.return_args.empty() || !selector.return_actions.empty()) return true;
  }
  return false;
}

}  // namespace

void CompileSelectors(const HookParts& parts, const PolicyField& field, CompiledHook& compiled,
                      std::vector<Scope>& scopes) {
  const std::vector<HookSelector> everything(1);
  const std::vector<HookSelector>& selectors = parts.hook.selectors.empty() ? everything : parts.hook.selectors;
  const bool holds = Holds(parts.hook);
  if (holds) compiled.hook.flags |= SL_HOOK_RETURNS | SL_HOOK_HOLDS;
  std::vector<SelectorFilters> filters;
  for (std::size_t i = 0; i < selectors.size(); ++i) {
    const PolicyField at = field.At("selectors", i);
    filters.push_back(CompileFilters(parts, selectors[i], at, compiled, scopes));
    compiled.selectors.push_back(CompileActions(parts, selectors[i], at));
  }
  for (std::size_t i = 0; i < filters.size(); ++i) AddTests(std::move(filters[i].enter), i, compiled.tests);
  const std::size_t return_begin = compiled.tests.size();
  for (std::size_t i = 0; holds && i < filters.size(); ++i) AddTests(std::move(filters[i].exit), i, compiled.tests);
  if (compiled.tests.size() > kMostTests) {
    field.At("selectors")
        .Error(
            fmt::format("{} values to compare: at most {} are possible in a hook", compiled.tests.size(), kMostTests));
  }
  compiled.hook.test_count = static_cast<std::uint16_t>(compiled.tests.size());
  compiled.hook.return_tests = static_cast<std::uint16_t>(compiled.tests.size() - return_begin);
}

sl_hook_test MakeTest(sl_hook_test_kind kind, sl_hook_field field, std::uint64_t first, std::uint64_t last) {
  sl_hook_test test{};
  test.kind = static_cast<std::uint8_t>(kind);
  test.field = static_cast<std::uint8_t>(field);
  test.first = first;
  test.last = last;
  return test;
}

sl_hook_test TextTest(sl_hook_test_kind kind, sl_hook_field field, std::string_view text, CompiledHook& compiled) {
  const sl_hook_test test = MakeTest(kind, field, compiled.words.size(), text.size());
  for (std::size_t begin = 0; begin < text.size(); begin += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < sizeof(word) && begin + i < text.size(); ++i) {
      word |= std::uint64_t{static_cast<unsigned char>(text[begin + i])} << (8 * i);
    }
    compiled.words.push_back(word);
  }
  return test;
}

}  // namespace sluice::policy::tracing
