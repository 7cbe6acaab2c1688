// Schemas that tests hold texts to; between them they have each keyword that is honoured.
#pragma once

#include <array>

namespace llamajit::test {

inline constexpr std::array kSchemas{
    R"({"type":"object"})",
    R"({})",
    R"(true)",
    R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"],"additionalProperties":false})",
    R"({"type":"object","properties":{"a":{"type":"boolean"},"b":{"type":"null"},"c":{"type":"number"}},"additionalProperties":false})",
    R"({"type":"object","properties":{"a":{"type":"boolean"},"b":{"type":"null"},"c":{"type":"number"}},"required":["b"]})",
    R"({"type":"object","properties":{"ab":{"type":"integer"},"ac":{"type":"integer"},"a":{"type":"null"}},"additionalProperties":true})",
    R"({"type":"object","properties":{"x":{"type":"integer"}},"required":["x"],"additionalProperties":{"type":"string"}})",
    R"({"type":"object","additionalProperties":{"type":"array","items":{"type":"integer"}}})",
    R"({"type":"object","required":["q"],"properties":{"p":{"const":1}}})",
    R"({"type":"object","properties":{"한\"글\\":{"type":"boolean"},"b\n":{"const":null}},"required":["한\"글\\"],"additionalProperties":{"type":"boolean"}})",
    R"({"type":"array","items":{"type":"integer","minimum":-12,"maximum":345},"minItems":2,"maxItems":5})",
    R"({"type":"array","prefixItems":[{"type":"string"},{"type":"number"}],"items":false})",
    R"({"type":"array","prefixItems":[{"type":"string"},{"type":"number"}],"items":{"type":"null"},"minItems":1,"maxItems":4})",
    R"({"type":"array","maxItems":0})",
    R"({"enum":["red","green",1,2.5,null,{"a":[1,2]},true]})",
    R"({"type":["string","integer"],"enum":["red",1,2.5,null]})",
    R"({"const":{"deep":["é\u0001\"",{}]}})",
    R"({"type":["integer","null","boolean"]})",
    R"({"type":"array","items":{"type":["number","integer"],"minimum":0},"minItems":3})",
    R"({"type":"array","items":{"type":"number","exclusiveMinimum":-1,"exclusiveMaximum":1},"minItems":20})",
    R"({"type":"array","items":{"type":"number","minimum":-20,"maximum":-3},"minItems":20})",
    R"({"type":"array","items":{"type":"number","exclusiveMinimum":99,"maximum":1000},"minItems":20})",
    R"({"type":"array","items":{"type":"integer","exclusiveMinimum":-1.5,"exclusiveMaximum":1099},"minItems":20})",
    R"({"type":"array","items":{"type":"integer","minimum":5},"minItems":10})",
    R"({"type":"array","items":{"type":"integer","maximum":-987654321},"minItems":10})",
    R"({"type":"string","minLength":3,"maxLength":5})",
    R"({"type":"string","minLength":2})",
    R"({"type":"string","pattern":"^[A-Z]{2}-\\d+(?:\\.\\w{1,3})?$"})",
    R"({"type":"string","pattern":"a|^\"\\\\[^x\"]$|[\\s\\u00e9-\\u00ff\\n]+y"})",
    R"({"type":"array","items":{"type":"string","format":"date"},"minItems":10})",
    R"({"type":"array","items":{"type":"string","format":"date-time"},"minItems":5})",
    R"({"type":"array","items":{"type":"string","format":"time"},"minItems":5})",
    R"({"type":"string","format":"uuid"})",
    R"({"anyOf":[{"type":"string"},{"type":"object","properties":{"k":{"type":"integer"}},"required":["k"]}]})",
    R"({"oneOf":[{"type":"integer"},{"type":"string"},{"const":null}]})",
    R"({"oneOf":[{"type":"object","properties":{"kind":{"const":"circle"},"r":{"type":"number"}},"required":["kind","r"]},{"type":"object","properties":{"kind":{"enum":["square","cube"]},"side":{"type":"number"}},"required":["kind","side"]}]})",
    R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"anyOf":[{"required":["a"]},{"required":["b"]}]})",
    R"({"allOf":[{"type":"object","properties":{"a":{"type":"integer","minimum":3}},"required":["a"]},{"properties":{"a":{"type":"integer","maximum":9},"b":{"type":"string"}},"required":["b"]}]})",
    R"({"$ref":"#/$defs/tree","$defs":{"tree":{"type":"object","properties":{"value":{"type":"integer"},"children":{"type":"array","items":{"$ref":"#/$defs/tree"},"maxItems":3}},"required":["value"],"additionalProperties":false}}})",
    R"({"type":"object","properties":{"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},"required":["next"],"additionalProperties":false})",
    R"({"definitions":{"a/b~c":{"type":"boolean"}},"type":"array","items":{"$ref":"#/definitions/a~1b~0c"}})",
    R"({"$defs":{"base":{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]}},"type":"array","items":{"$ref":"#/$defs/base","properties":{"name":{"type":"string"}},"required":["name"]}})",
    R"({"title":"Weather","description":"d","type":"object","strict":true,"properties":{"city":{"type":"string","description":"where","examples":["Seoul"]},"unit":{"type":"string","enum":["C","F"],"default":"C"},"days":{"type":"array","items":{"type":"object","properties":{"day":{"type":"string","format":"date"},"high":{"type":"number","minimum":-90,"maximum":60}},"required":["day","high"],"additionalProperties":false},"minItems":1,"maxItems":7}},"required":["city","unit","days"],"additionalProperties":false})",
    R"({"properties":{"a":{"type":"string","maxLength":3}},"minItems":2,"minimum":10})",
};

}  // namespace llamajit::test
