// Lists of items and of members, with their commas.
#pragma once

#include <optional>
#include <vector>

#include "runtime/grammar/json_rules.h"

namespace llamajit {

// What stands within an array: the first items, one behind the other, and then more; from `min` to `max` in all. `max` is
// not 0; below it there is no end. Items that may be written down twice are calls of rules.
PartId items_of_list(JsonRules& json, std::vector<PartId> first, PartId more, int min, int max);

struct ObjectMember {
  PartId member;  // its name, a colon and the value
  bool is_required;
};

// What stands within an object: members in their order, of which one that is not required may be left out, and then any
// number of others.
PartId members_of_object(JsonRules& json, std::vector<ObjectMember> members, std::optional<PartId> other);

}  // namespace llamajit
