#include "kernel/hooks/table_image.h"

namespace sluice::hooks {
namespace {

using policy::tracing::CompiledHook;
using policy::tracing::CompiledPolicy;

constexpr std::uint64_t kHashOverhead = 48;  // of an entry in a hash map, beside key and value

std::uint32_t Size(std::size_t count) { return static_cast<std::uint32_t>(count); }

// Where one hook's own numbers begin in the tables.
struct Bases {
  std::uint32_t selectors, tests, words, sets;
};

void PlaceArgument(sl_hook_argument& argument, const Bases& bases) {
  if (argument.step_count != 0) argument.steps += bases.words;
}

sl_hook PlaceHook(const CompiledHook& compiled, const TablePlaces& places, const Bases& bases) {
  sl_hook hook = compiled.hook;
  hook.policy = places.policy;
  hook.scope = places.scopes.front();
  hook.life = places.life;
  hook.selectors = bases.selectors;
  hook.tests = bases.tests;
  for (sl_hook_argument& argument : hook.arguments) PlaceArgument(argument, bases);
  PlaceArgument(hook.return_value, bases);
  return hook;
}

sl_hook_test PlaceTest(sl_hook_test test, const TablePlaces& places, const Bases& bases) {
  switch (test.kind) {
    case SL_HOOK_TEST_EQUAL:
    case SL_HOOK_TEST_PREFIX:
    case SL_HOOK_TEST_POSTFIX:
    case SL_HOOK_TEST_CONTAINS:
    case SL_HOOK_TEST_CONTAINS_ANY_CASE:
      test.first += bases.words;
      break;
    case SL_HOOK_TEST_IN_SET:
      test.first += bases.sets;
      break;
    case SL_HOOK_TEST_SCOPE:
      test.first = places.scopes[test.first];
      break;
    case SL_HOOK_TEST_MARKED:
      test.first += places.first_mark;
      break;
    default:
      break;
  }
  return test;
}

sl_hook_selector PlaceSelector(sl_hook_selector selector, const TablePlaces& places) {
  if ((selector.actions & SL_HOOK_ACTION_MARK) != 0) selector.error += static_cast<std::int32_t>(places.first_mark);
  return selector;
}

}  // namespace

TableSizes SizesOf(const CompiledPolicy& policy) {
  TableSizes sizes{.hooks = Size(policy.hooks.size())};
  for (const CompiledHook& hook : policy.hooks) {
    sizes.selectors += Size(hook.selectors.size());
    sizes.tests += Size(hook.tests.size());
    sizes.words += Size(hook.words.size());
    sizes.sets += Size(hook.sets.size());
    for (const sl_hook_selector& one : hook.selectors) sizes.marks += (one.actions & SL_HOOK_ACTION_MARK) != 0 ? 1 : 0;
    for (const auto& set : hook.sets) sizes.set_entries += Size(set.size());
  }
  return sizes;
}

std::uint64_t BytesOf(const TableSizes& sizes) {
  const auto bytes = [](std::uint64_t count, std::uint64_t each) { return count * each; };
  return sizeof(sl_hook_policy) + bytes(sizes.hooks, sizeof(sl_hook) + sizeof(std::uint32_t)) +
         bytes(sizes.selectors, sizeof(sl_hook_selector) + sizeof(sl_hook_counts)) +
         bytes(sizes.tests, sizeof(sl_hook_test)) + bytes(sizes.words, sizeof(std::uint64_t)) +
         bytes(sizes.set_entries, sizeof(sl_hook_set_key) + sizeof(std::uint64_t) + kHashOverhead);
}

TableImage MakeImage(const CompiledPolicy& policy, const TablePlaces& places) {
  TableImage image;
  std::uint32_t sets = places.first_set;
  for (const CompiledHook& hook : policy.hooks) {
    const Bases bases{.selectors = places.selectors.first + Size(image.selectors.size()),
                      .tests = places.tests.first + Size(image.tests.size()),
                      .words = places.words.first + Size(image.words.size()),
                      .sets = sets};
    image.hooks.push_back(PlaceHook(hook, places, bases));
    for (const sl_hook_test& test : hook.tests) image.tests.push_back(PlaceTest(test, places, bases));
    for (const sl_hook_selector& selector : hook.selectors) image.selectors.push_back(PlaceSelector(selector, places));
    image.words.insert(image.words.end(), hook.words.begin(), hook.words.end());
    for (const auto& set : hook.sets) {
      for (const std::uint64_t number : set) image.sets.push_back({.number = number, .set = sets, .pad = 0});
      ++sets;
    }
  }
  return image;
}

}  // namespace sluice::hooks
