#include "policy/rules/text_table.h"

#include <bit>
#include <cstring>
#include <map>

namespace sluice::policy::rules {
namespace {

// Reads eight bytes at a time: names of programs are one or two such steps.
std::uint32_t HashOf(std::string_view text) {
  std::uint64_t hash = text.size() * 0x9e3779b97f4a7c15ULL;
  while (!text.empty()) {
    std::uint64_t word = 0;
    const std::size_t bytes = std::min<std::size_t>(text.size(), sizeof(word));
    std::memcpy(&word, text.data(), bytes);
    hash = (std::rotl(hash, 23) ^ word) * 0xff51afd7ed558ccdULL;
    text.remove_prefix(bytes);
  }
  return static_cast<std::uint32_t>(hash ^ hash >> 32U);
}

}  // namespace

TextTable::TextTable(const std::vector<std::vector<std::string>>& sets) : words_((sets.size() + 63) / 64) {
  std::map<std::string_view, std::vector<std::size_t>> sets_of;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    for (const std::string& text : sets[i]) sets_of[text].push_back(i);
  }
  buckets_.assign(std::bit_ceil(std::max<std::size_t>(sets_of.size() * 2, 2)), 0);
  for (const auto& [text, of] : sets_of) {
    const std::uint32_t hash = HashOf(text);
    const auto answer = static_cast<std::uint32_t>(answers_.size());
    answers_.resize(answers_.size() + words_, 0);
    for (const std::size_t set : of) answers_[answer + set / 64] |= std::uint64_t{1} << set % 64;
    entries_.push_back({.text = std::string(text), .hash = hash, .answer = answer});
    std::size_t bucket = hash & (buckets_.size() - 1);
    while (buckets_[bucket] != 0) bucket = (bucket + 1) & (buckets_.size() - 1);
    buckets_[bucket] = static_cast<std::uint32_t>(entries_.size());
  }
}

const std::uint64_t* TextTable::Find(std::string_view text) const {
  const std::uint32_t hash = HashOf(text);
  for (std::size_t bucket = hash & (buckets_.size() - 1); buckets_[bucket] != 0;
       bucket = (bucket + 1) & (buckets_.size() - 1)) {
    const Entry& entry = entries_[buckets_[bucket] - 1];
    if (entry.hash == hash && entry.text == text) return &answers_[entry.answer];
  }
  return nullptr;
}

}  // namespace sluice::policy::rules
