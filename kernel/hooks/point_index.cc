#include "kernel/hooks/point_index.h"

#include <algorithm>
#include <array>
#include <bit>
#include <compare>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "bpf/lib/hook_index.h"

namespace sluice::hooks {
namespace {

using policy::tracing::CompiledHook;
using Bits = std::uint64_t;  // hooks

constexpr std::size_t kWord = 8;
constexpr std::uint64_t kWidestRange = 16;    // numbers of a range that become slots
constexpr std::size_t kMostSlots = 1U << 14;  // of a column
constexpr std::size_t kMostLengths = 4;       // of beginnings, and of ends, in a column: each costs the call a look-up

// What a hook wants of one value: for a number its numbers, for a text its parts.
struct Part {
  sl_hook_index_kind kind = SL_HOOK_INDEX_WHOLE;
  std::string text;
};
struct Wanted {
  std::vector<std::uint64_t> numbers;
  std::vector<Part> parts;
};

bool IsPath(const sl_hook_argument& argument) {
  switch (argument.read) {
    case SL_HOOK_READ_FD:
    case SL_HOOK_READ_FILE:
    case SL_HOOK_READ_PATH:
    case SL_HOOK_READ_DENTRY:
    case SL_HOOK_READ_BINPRM:
      return true;
    default:
      return false;
  }
}

struct ColumnKey {
  int cost = 0;  // order of the columns
  sl_hook_face face = SL_HOOK_FACE_NUMBER;
  std::array<std::uint64_t, sizeof(sl_hook_argument) / sizeof(std::uint64_t)> argument{};
  auto operator<=>(const ColumnKey&) const = default;
};

ColumnKey KeyOf(const sl_hook_argument& argument, sl_hook_face face) {
  // The text of a path is the whole path, the dearest of all.
  ColumnKey key{.cost = face == SL_HOOK_FACE_TEXT && IsPath(argument) ? SL_HOOK_FACE_COUNT : face, .face = face};
  std::memcpy(key.argument.data(), &argument, sizeof(argument));
  return key;
}

std::string TextOf(const CompiledHook& hook, const sl_hook_test& test) {
  std::string text;
  for (std::size_t i = 0; i < test.last; ++i)
    text += static_cast<char>(hook.words[test.first + i / kWord] >> (8 * (i % kWord)));
  return text;
}

// The numbers for which one of the filter's tests holds; absent: too many, or not said by numbers.
std::optional<Wanted> NumbersOf(const CompiledHook& hook, std::span<const sl_hook_test> filter) {
  Wanted wanted;
  for (const sl_hook_test& test : filter) {
    if (test.kind == SL_HOOK_TEST_IN_SET) {
      const auto& set = hook.sets[test.first];
      wanted.numbers.insert(wanted.numbers.end(), set.begin(), set.end());
      continue;
    }
    if (test.kind != SL_HOOK_TEST_RANGE && test.kind != SL_HOOK_TEST_SIGNED_RANGE) return std::nullopt;
    if (test.last - test.first >= kWidestRange) return std::nullopt;
    for (std::uint64_t i = 0; i <= test.last - test.first; ++i) wanted.numbers.push_back(test.first + i);
  }
  return wanted;
}

std::optional<Wanted> TextsOf(const CompiledHook& hook, std::span<const sl_hook_test> filter) {
  Wanted wanted;
  for (const sl_hook_test& test : filter) {
    if (test.last == 0) return std::nullopt;  // an empty text, which every empty one equals, and all begin with
    switch (test.kind) {
      case SL_HOOK_TEST_EQUAL:
        wanted.parts.push_back({SL_HOOK_INDEX_WHOLE, TextOf(hook, test)});
        break;
      case SL_HOOK_TEST_PREFIX:
        wanted.parts.push_back({SL_HOOK_INDEX_PREFIX, TextOf(hook, test)});
        break;
      case SL_HOOK_TEST_POSTFIX:
        wanted.parts.push_back({SL_HOOK_INDEX_POSTFIX, TextOf(hook, test)});
        break;
      default:
        return std::nullopt;
    }
  }
  return wanted;
}

// What the last name of a path must be so that the path has one of the texts; absent: any name will do.
std::optional<Wanted> NamesOf(const Wanted& texts) {
  Wanted names;
  for (const Part& part : texts.parts) {
    if (part.kind == SL_HOOK_INDEX_PREFIX || part.text.ends_with('/')) return std::nullopt;
    const std::size_t slash = part.text.rfind('/');
    if (slash != std::string::npos) {
      names.parts.push_back({SL_HOOK_INDEX_WHOLE, part.text.substr(slash + 1)});
    } else if (part.kind == SL_HOOK_INDEX_POSTFIX) {
      names.parts.push_back(part);
    } else {
      return std::nullopt;
    }
  }
  return names;
}

void Append(Wanted& to, const Wanted& more) {
  to.numbers.insert(to.numbers.end(), more.numbers.begin(), more.numbers.end());
  to.parts.insert(to.parts.end(), more.parts.begin(), more.parts.end());
}

using WantedByColumn = std::map<ColumnKey, Wanted>;

// What one filter says to each column that can hold it; mostly to one.
WantedByColumn OfFilter(const IndexedHook& hook, std::span<const sl_hook_test> filter) {
  const sl_hook_test& first = filter.front();
  if ((first.flags & SL_HOOK_TEST_NEGATED) != 0 || first.field != SL_HOOK_FIELD_VALUE) return {};
  if (first.kind == SL_HOOK_TEST_ALWAYS || first.kind == SL_HOOK_TEST_SCOPE) return {};
  if (first.argument >= SL_HOOK_ARGUMENTS) return {};
  const sl_hook_argument& argument = hook.placed->arguments[first.argument];
  if ((argument.flags & (SL_HOOK_ARGUMENT_AT_RETURN | SL_HOOK_ARGUMENT_SIZE_READ)) != 0) return {};
  if (argument.read == SL_HOOK_READ_NUMBER) {
    auto numbers = NumbersOf(*hook.compiled, filter);
    return numbers ? WantedByColumn{{KeyOf(argument, SL_HOOK_FACE_NUMBER), *std::move(numbers)}} : WantedByColumn{};
  }
  auto texts = TextsOf(*hook.compiled, filter);
  if (!texts) return {};
  WantedByColumn columns;
  if (IsPath(argument)) {
    if (auto names = NamesOf(*texts)) columns.emplace(KeyOf(argument, SL_HOOK_FACE_NAME), *std::move(names));
  }
  columns.emplace(KeyOf(argument, SL_HOOK_FACE_TEXT), *std::move(texts));
  return columns;
}

// What all filters of one selector say. Of two that say something to one column, the first counts.
WantedByColumn OfSelector(const IndexedHook& hook, std::span<const sl_hook_test> tests, std::size_t begin) {
  WantedByColumn columns;
  const std::size_t last = tests[begin].selector_last;
  while (begin <= last) {
    const std::size_t end = std::size_t{tests[begin].filter_last} + 1;
    columns.merge(OfFilter(hook, tests.subspan(begin, end - begin)));
    begin = end;
  }
  return columns;
}

// The columns to which every selector says something, with what all of them say.
WantedByColumn OfHook(const IndexedHook& hook) {
  const sl_hook& head = hook.compiled->hook;
  const std::size_t count = std::size_t{head.test_count} - head.return_tests;
  const std::span<const sl_hook_test> tests(hook.compiled->tests.data(), count);
  WantedByColumn columns;
  for (std::size_t begin = 0; begin < count; begin = std::size_t{tests[begin].selector_last} + 1) {
    const WantedByColumn more = OfSelector(hook, tests, begin);
    if (begin == 0) {
      columns = more;
      continue;
    }
    for (auto entry = columns.begin(); entry != columns.end();) {
      const auto found = more.find((*entry).first);
      if (found == more.end()) {
        entry = columns.erase(entry);
      } else {
        Append((*entry).second, (*found).second);
        ++entry;
      }
    }
  }
  // Where the name decides, the path need not be made.
  std::set<decltype(ColumnKey::argument)> named;
  for (const auto& [key, wanted] : columns) {
    if (key.face == SL_HOOK_FACE_NAME) named.insert(key.argument);
  }
  std::erase_if(columns, [&](const auto& entry) {
    return entry.first.face == SL_HOOK_FACE_TEXT && named.contains(entry.first.argument);
  });
  return columns;
}

// The lengths that a call is looked up with: of less than a word, or of whole words.
std::uint32_t CutLength(std::size_t length, std::size_t most_words) {
  return static_cast<std::uint32_t>(length < kWord ? length : std::min(length / kWord, most_words) * kWord);
}
std::size_t MostWords(sl_hook_index_kind kind) {
  return kind == SL_HOOK_INDEX_PREFIX ? SL_HOOK_INDEX_WORDS : SL_HOOK_INDEX_POSTFIX_WORDS;
}

// At most kMostLengths: the length with the fewest texts gives way to the next shorter one.
std::set<std::uint32_t> ChooseLengths(std::map<std::uint32_t, std::size_t> texts) {
  while (texts.size() > kMostLengths) {
    const auto least = std::min_element(std::next(texts.begin()), texts.end(),
                                        [](const auto& a, const auto& b) { return a.second < b.second; });
    (*std::prev(least)).second += (*least).second;
    texts.erase(least);
  }
  std::set<std::uint32_t> lengths;
  for (const auto& [length, count] : texts) lengths.insert(length);
  return lengths;
}

// `bytes` from `begin`, followed by zeros.
std::uint64_t WordAt(const std::string& text, std::size_t begin, std::size_t bytes) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < bytes; ++i) word |= std::uint64_t{static_cast<unsigned char>(text[begin + i])} << (8 * i);
  return word;
}

std::uint64_t KeyOfWhole(const std::string& text) {
  std::uint64_t hash = SL_HOOK_INDEX_SEED;
  for (std::size_t begin = 0; begin < text.size() && begin < SL_HOOK_INDEX_WORDS * kWord; begin += kWord)
    hash = sl_hook_index_hash(hash, WordAt(text, begin, std::min(kWord, text.size() - begin)));
  return sl_hook_index_key(hash, SL_HOOK_INDEX_WHOLE, static_cast<std::uint32_t>(text.size()));
}

// Of the text's first or last `length` bytes.
std::uint64_t KeyOfPart(const Part& part, std::uint32_t length) {
  const std::size_t size = part.text.size();
  const bool is_prefix = part.kind == SL_HOOK_INDEX_PREFIX;
  const std::size_t bytes = std::min<std::size_t>(length, kWord);
  std::uint64_t hash = SL_HOOK_INDEX_SEED;
  for (std::size_t done = 0; done < length; done += bytes)
    hash = sl_hook_index_hash(hash, WordAt(part.text, is_prefix ? done : size - done - bytes, bytes));
  return sl_hook_index_key(hash, part.kind, length);
}

// One column while it is made.
class ColumnMaker {
 public:
  void Add(Bits hook, const Wanted& wanted) {
    for (const std::uint64_t number : wanted.numbers)
      hooks_[sl_hook_index_key(sl_hook_index_hash(SL_HOOK_INDEX_SEED, number), SL_HOOK_INDEX_NUMBER, 0)] |= hook;
    for (const Part& part : wanted.parts) {
      if (part.kind == SL_HOOK_INDEX_WHOLE) {
        whole_ = true;
        hooks_[KeyOfWhole(part.text)] |= hook;
      } else {
        const bool is_prefix = part.kind == SL_HOOK_INDEX_PREFIX;
        ++(is_prefix ? prefixes_ : postfixes_)[CutLength(part.text.size(), MostWords(part.kind))];
        parts_.emplace_back(&part, hook);
      }
    }
  }

  // Absent: it would be too large. What was given to Add must still be there.
  std::optional<IndexColumn> Make(const ColumnKey& key, Bits others) {
    IndexColumn made;
    std::memcpy(&made.column.argument, key.argument.data(), sizeof(made.column.argument));
    made.column.face = key.face;
    made.column.others = others;
    made.column.whole = whole_ ? 1 : 0;
    const auto prefixes = ChooseLengths(prefixes_), postfixes = ChooseLengths(postfixes_);
    for (const std::uint32_t length : prefixes) {
      if (length < kWord) made.column.prefix_bytes |= static_cast<__u8>(1U << length);
      if (length >= kWord) made.column.prefix_words |= 1U << length / kWord;
    }
    for (const std::uint32_t length : postfixes) {
      if (length < kWord) made.column.postfix_bytes |= static_cast<__u8>(1U << length);
      if (length >= kWord) made.column.postfix_words |= static_cast<__u8>(1U << length / kWord);
    }
    for (const auto& [part, hook] : parts_) {
      const auto& lengths = part->kind == SL_HOOK_INDEX_PREFIX ? prefixes : postfixes;
      const std::uint32_t cut = CutLength(part->text.size(), MostWords(part->kind));
      hooks_[KeyOfPart(*part, *std::prev(lengths.upper_bound(cut)))] |= hook;
    }
    for (std::size_t size = std::bit_ceil(2 * hooks_.size()); size <= kMostSlots; size *= 2) {
      if (!Fill(size, &made.slots)) continue;
      made.column.slot_mask = static_cast<__u32>(size - 1);
      return made;
    }
    return std::nullopt;
  }

 private:
  bool Fill(std::size_t size, std::vector<sl_hook_slot>* slots) const {
    slots->assign(size, {});
    for (const auto& [key, hooks] : hooks_) {
      bool placed = false;
      for (std::uint64_t i = 0; i < SL_HOOK_SLOT_TRIES && !placed; ++i) {
        sl_hook_slot& slot = (*slots)[((key >> 32U) + i) & (size - 1)];
        placed = slot.hooks == 0;
        if (placed) slot = {.key = key, .hooks = hooks};
      }
      if (!placed) return false;
    }
    return true;
  }

  std::map<std::uint64_t, Bits> hooks_;                        // by key
  std::map<std::uint32_t, std::size_t> prefixes_, postfixes_;  // by cut length: texts
  std::vector<std::pair<const Part*, Bits>> parts_;
  bool whole_ = false;
};

}  // namespace

std::vector<IndexColumn> MakeIndex(const std::vector<IndexedHook>& hooks) {
  const std::uint32_t shift = sl_hook_index_shift(static_cast<std::uint32_t>(hooks.size()));
  std::vector<WantedByColumn> wanted;
  std::map<ColumnKey, std::size_t> columns;  // hooks in each
  for (const IndexedHook& hook : hooks) {
    wanted.push_back(OfHook(hook));
    for (const auto& [key, values] : wanted.back()) ++columns[key];
  }
  while (columns.size() > SL_HOOK_COLUMNS_OF_POINT)
    columns.erase(std::min_element(columns.begin(), columns.end(),
                                   [](const auto& a, const auto& b) { return a.second < b.second; }));
  std::vector<IndexColumn> index;
  for (const auto& [key, count] : columns) {
    ColumnMaker maker;
    Bits others = 0;
    for (std::size_t i = 0; i < hooks.size(); ++i) {
      const Bits bit = Bits{1} << (i >> shift);
      const auto found = wanted[i].find(key);
      if (found == wanted[i].end()) {
        others |= bit;
      } else {
        maker.Add(bit, (*found).second);
      }
    }
    if (auto column = maker.Make(key, others)) index.push_back(*std::move(column));
  }
  return index;
}

}  // namespace sluice::hooks
