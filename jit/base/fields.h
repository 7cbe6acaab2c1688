// Structs that describe their own fields. A field's name, type and offset are the compiler's, so that no text
// falls behind the struct, and a description that leaves a field out does not compile:
//
//   struct SoftmaxArgs {
//     float* x;
//     float scale;
//
//     static constexpr auto fields() {
//       return Fields{field<&SoftmaxArgs::x>("(n)"), field<&SoftmaxArgs::scale>()};
//     }
//   };
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <string_view>
#include <tuple>

namespace llamajit::jit {

// Returns "x" for &SoftmaxArgs::x, which the compiler writes into the function's name.
template <auto Member>
consteval std::string_view member_name() {
  const std::string_view function = __PRETTY_FUNCTION__;  // "… [with auto Member = &SoftmaxArgs::x; …]"
  const std::size_t member = function.find("Member = &");
  const std::size_t end = function.find_first_of(";]", member);
  const std::size_t begin = function.rfind("::", end) + 2;
  return function.substr(begin, end - begin);
}

template <auto Member>
struct Field {
  static constexpr auto kMember = Member;
  static constexpr std::string_view kName = member_name<Member>();
  std::string_view meaning;  // shape, unit, bounds; may be empty
};
template <auto Member>
consteval Field<Member> field(std::string_view meaning = "") {
  return {meaning};
}

// Converts to whatever a field may be.
struct AnyField {
  template <class T>
  operator T() const;  // NOLINT(google-explicit-constructor)
};
// An aggregate has as many fields as values that it can be initialised with.
template <class Struct, class... Values>
consteval std::size_t count_fields() {
  if constexpr (requires { Struct{Values{}..., AnyField{}}; }) {
    return count_fields<Struct, Values..., AnyField>();
  } else {
    return sizeof...(Values);
  }
}

template <class Struct, class T>
Struct struct_of(T Struct::*member);

template <auto First, auto... Others>
class Fields {
 public:
  consteval explicit Fields(Field<First> first, Field<Others>... others) : fields_(first, others...) {
    using Struct = decltype(struct_of(First));
    static_assert((std::same_as<decltype(struct_of(Others)), Struct> && ...), "all are of one struct");
    static_assert(count_fields<Struct>() == 1 + sizeof...(Others), "every field of the struct is described");
    static_assert(all_differ(), "every field is described once");
  }

  // Calls visit(field) with each Field, in the description's order.
  template <class Visit>
  constexpr void for_each(Visit visit) const {
    std::apply([&](const auto&... field) { (visit(field), ...); }, fields_);
  }

 private:
  static consteval bool all_differ() {
    std::array names{Field<First>::kName, Field<Others>::kName...};
    std::ranges::sort(names);
    return std::ranges::adjacent_find(names) == names.end();
  }

  std::tuple<Field<First>, Field<Others>...> fields_;
};

// Fields whose meaning is said beside them.
template <auto... Members>
consteval Fields<Members...> fields_of() {
  return Fields{field<Members>()...};
}

}  // namespace llamajit::jit
