#include "base/table.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Table, ColumnsAreAsWideAsTheirWidestCell) {
  Table table({{"NAME"}, {"PACKETS", Align::kRight}, {"NOTE"}});
  EXPECT_TRUE(table.empty());
  table.Add({"shop/database-0", "7", "x"});
  table.Add({"a", "123456789", ""});
  EXPECT_FALSE(table.empty());
  EXPECT_EQ(table.ToString(),
            "NAME               PACKETS  NOTE\n"
            "shop/database-0          7  x\n"
            "a                123456789\n");
}

TEST(Table, TitlesAloneAndTooFewOrTooManyCells) {
  Table table({{"A"}, {"B"}});
  EXPECT_EQ(table.ToString(), "A  B\n");
  table.Add({"1"});
  table.Add({"1", "2", "3"});
  EXPECT_EQ(table.ToString(), "A  B\n1\n1  2\n");
}

}  // namespace
}  // namespace sluice
