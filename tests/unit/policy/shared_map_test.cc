#include "policy/resource/shared_map.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

namespace sluice::policy {
namespace {

using Map = SharedMap<int, std::string>;
using Reference = std::map<int, std::string>;

void ExpectSame(const Map& map, const Reference& reference) {
  ASSERT_EQ(map.size(), reference.size());
  ASSERT_EQ(map.empty(), reference.empty());
  auto wanted = reference.begin();
  for (const auto& [key, value] : map) {
    ASSERT_EQ(key, wanted->first);
    ASSERT_EQ(value, wanted->second);
    ++wanted;
  }
}

// The keys whose entries differ.
std::vector<int> Difference(const Map& a, const Map& b) {
  std::vector<int> keys;
  a.AnyUnshared(b, [&](int key, const std::string* one, const std::string* two) {
    if (one == nullptr || two == nullptr || *one != *two) keys.push_back(key);
    return false;
  });
  return keys;
}
std::vector<int> Difference(const Reference& a, const Reference& b) {
  std::vector<int> keys;
  Reference all = a;
  all.insert(b.begin(), b.end());
  for (const auto& [key, value] : all) {
    const auto one = a.find(key), two = b.find(key);
    if (one == a.end() || two == b.end() || one->second != two->second) keys.push_back(key);
  }
  return keys;
}

TEST(SharedMap, IsAStdMapInEveryVersion) {
  std::mt19937 random(7);
  struct Version {
    Map map;
    Reference reference;
  };
  std::vector<Version> versions(1);
  for (int step = 0; step < 4000; step++) {
    SCOPED_TRACE(step);
    Version next = versions[versions.size() - 1 - (random() % 8 == 0 ? random() % versions.size() : 0)];
    const int key = static_cast<int>(random() % 1000);
    ASSERT_EQ(next.map.contains(key), next.reference.contains(key));
    const auto at = next.map.lower_bound(key);
    const auto wanted = next.reference.lower_bound(key);
    ASSERT_EQ(at == next.map.end(), wanted == next.reference.end());
    if (wanted != next.reference.end()) {
      ASSERT_EQ(at->first, wanted->first);
    }
    switch (random() % 8) {
      case 0:
      case 1:
        ASSERT_EQ(next.map.erase(key), next.reference.erase(key));
        break;
      case 2:
        next.map[key] += "x";
        next.reference[key] += "x";
        break;
      case 3: {
        const Version& other = versions[random() % versions.size()];
        if (random() % 20 != 0) break;
        next.map.Merge(other.map);
        next.reference.insert(other.reference.begin(), other.reference.end());
        break;
      }
      default:
        next.map.Put(key, std::to_string(step));
        next.reference[key] = std::to_string(step);
    }
    if (next.reference.contains(key)) {
      ASSERT_EQ(next.map.find(key)->second, next.reference.at(key));
      ASSERT_EQ(next.map.at(key), next.reference.at(key));
    } else {
      ASSERT_EQ(next.map.find(key), next.map.end());
      ASSERT_THROW(next.map.at(key), std::out_of_range);
    }
    const Version& any = versions[random() % versions.size()];
    ASSERT_EQ(Difference(next.map, any.map), Difference(next.reference, any.reference));
    versions.push_back(std::move(next));
    if (versions.size() > 100) versions.erase(versions.begin());
  }
  for (const Version& version : versions) ASSERT_NO_FATAL_FAILURE(ExpectSame(version.map, version.reference));
  EXPECT_GT(versions.back().map.size(), 128U) << "several chunks";
}

TEST(SharedMap, VersionsShareWhatIsNotEdited) {
  Map first;
  for (int key = 0; key < 10000; key++) first.Put(key, "v");
  Map second = first;
  second.Put(77, "w");
  second.erase(9000);
  second.Put(20000, "w");
  std::vector<int> visited;
  EXPECT_FALSE(first.AnyUnshared(second, [&](int key, const std::string*, const std::string*) {
    visited.push_back(key);
    return false;
  }));
  EXPECT_EQ(visited, (std::vector{77, 9000, 20000}));
  EXPECT_EQ(&first.at(5), &second.at(5));
  EXPECT_EQ(first.at(77), "v");
  int visits = 0;
  EXPECT_TRUE(first.AnyUnshared(second, [&](int, const std::string*, const std::string*) { return ++visits == 2; }));
  EXPECT_EQ(visits, 2);
}

TEST(SharedMap, AValueMayBringItsKey) {
  struct Named {
    std::string name;
    int number = 0;
  };
  SharedMap<std::string, Named> map;
  const std::string name = "a name that is longer than a short string";
  Named named{name, 5};
  map.Put(named.name, std::move(named));
  EXPECT_EQ(map.at(name).number, 5);
  EXPECT_EQ(map.at(name).name, name);
}

TEST(SharedMap, MergedEntriesAreShared) {
  Map one, two;
  one.Put(1, "mine");
  two.Put(1, "other");
  two.Put(2, "other");
  one.Merge(two);
  EXPECT_EQ(one.at(1), "mine");
  EXPECT_EQ(&one.at(2), &two.at(2));
}

}  // namespace
}  // namespace sluice::policy
