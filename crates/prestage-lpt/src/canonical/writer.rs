//! Writes documents as canonical JSON, straight from our types.
//!
//! A member is written where it comes and moved to its place when its map ends, which costs
//! nothing for maps that come sorted. Knows no document.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Serialize;
use serde::ser::{
    Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple, SerializeTupleStruct,
    Serializer,
};

/// How the text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// One line without white space.
    Compact,
    /// Two spaces for each level.
    Indented,
}

/// The text so far.
pub(super) struct Writer {
    out: String,
    layout: Layout,
    depth: usize,
}

impl Writer {
    pub(super) fn new(layout: Layout) -> Self {
        Self {
            out: String::with_capacity(4_096),
            layout,
            depth: 0,
        }
    }

    /// The canonical form of `document`.
    pub(super) fn written<T: Serialize + ?Sized>(mut self, document: &T) -> String {
        document
            .serialize(&mut self)
            .expect("our types have string keys, no null and no serializer that fails");
        self.out
    }

    fn text(&mut self, text: &str) {
        let plain = text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\');
        if plain {
            self.out.push('"');
            self.out.push_str(text);
            self.out.push('"');
        } else {
            let quoted = serde_json::Value::from(text).to_string();
            self.out.push_str(&quoted);
        }
    }

    fn number(&mut self, number: impl fmt::Display) -> fmt::Result {
        fmt::Write::write_fmt(&mut self.out, format_args!("{number}"))
    }

    fn new_line(&mut self) {
        if self.layout == Layout::Indented {
            self.out.push('\n');
            for _ in 0..self.depth {
                self.out.push_str("  ");
            }
        }
    }

    fn list(&mut self) -> ListWriter<'_> {
        self.out.push('[');
        self.depth += 1;
        ListWriter {
            writer: self,
            is_empty: true,
        }
    }

    fn map(&mut self) -> MapWriter<'_> {
        self.out.push('{');
        self.depth += 1;
        MapWriter {
            start: self.out.len(),
            members: Vec::new(),
            writer: self,
        }
    }
}

/// A list under construction.
pub(super) struct ListWriter<'a> {
    writer: &'a mut Writer,
    is_empty: bool,
}

impl ListWriter<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, item: &T) -> fmt::Result {
        if !self.is_empty {
            self.writer.out.push(',');
        }
        self.is_empty = false;
        self.writer.new_line();
        item.serialize(&mut *self.writer)
    }

    fn close(self) {
        self.writer.depth -= 1;
        if !self.is_empty {
            self.writer.new_line();
        }
        self.writer.out.push(']');
    }
}

/// A map under construction.
pub(super) struct MapWriter<'a> {
    writer: &'a mut Writer,
    /// Where the first member begins.
    start: usize,
    members: Vec<(Cow<'static, str>, Range<usize>)>,
}

impl MapWriter<'_> {
    fn member<T: Serialize + ?Sized>(&mut self, key: Cow<'static, str>, value: &T) -> fmt::Result {
        if !self.members.is_empty() {
            self.writer.out.push(',');
        }
        let start = self.writer.out.len();
        self.writer.new_line();
        self.writer.text(&key);
        self.writer.out.push(':');
        if self.writer.layout == Layout::Indented {
            self.writer.out.push(' ');
        }
        value.serialize(&mut *self.writer)?;
        self.members.push((key, start..self.writer.out.len()));
        Ok(())
    }

    fn close(mut self) {
        self.sort();
        self.writer.depth -= 1;
        if !self.members.is_empty() {
            self.writer.new_line();
        }
        self.writer.out.push('}');
    }

    fn sort(&mut self) {
        if self.members.is_sorted_by(|(a, _), (b, _)| a < b) {
            return;
        }
        self.members.sort_by(|(a, _), (b, _)| a.cmp(b));
        let out = &mut self.writer.out;
        let mut sorted = String::with_capacity(out.len() - self.start);
        for (index, (_, range)) in self.members.iter().enumerate() {
            if index > 0 {
                sorted.push(',');
            }
            sorted.push_str(&out[range.clone()]);
        }
        out.truncate(self.start);
        out.push_str(&sorted);
    }
}

impl<'a> Serializer for &'a mut Writer {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = ListWriter<'a>;
    type SerializeTuple = ListWriter<'a>;
    type SerializeTupleStruct = ListWriter<'a>;
    type SerializeTupleVariant = Impossible<(), fmt::Error>;
    type SerializeMap = KeyedWriter<'a>;
    type SerializeStruct = MapWriter<'a>;
    type SerializeStructVariant = Impossible<(), fmt::Error>;

    fn serialize_bool(self, flag: bool) -> fmt::Result {
        self.out.push_str(if flag { "true" } else { "false" });
        Ok(())
    }

    fn serialize_i8(self, number: i8) -> fmt::Result {
        self.number(number)
    }

    fn serialize_i16(self, number: i16) -> fmt::Result {
        self.number(number)
    }

    fn serialize_i32(self, number: i32) -> fmt::Result {
        self.number(number)
    }

    fn serialize_i64(self, number: i64) -> fmt::Result {
        self.number(number)
    }

    fn serialize_u8(self, number: u8) -> fmt::Result {
        self.number(number)
    }

    fn serialize_u16(self, number: u16) -> fmt::Result {
        self.number(number)
    }

    fn serialize_u32(self, number: u32) -> fmt::Result {
        self.number(number)
    }

    fn serialize_u64(self, number: u64) -> fmt::Result {
        self.number(number)
    }

    fn serialize_f32(self, number: f32) -> fmt::Result {
        self.serialize_f64(f64::from(number))
    }

    fn serialize_f64(self, number: f64) -> fmt::Result {
        match serde_json::Number::from_f64(number) {
            Some(number) => self.number(number),
            None => Err(fmt::Error),
        }
    }

    fn serialize_char(self, c: char) -> fmt::Result {
        self.serialize_str(c.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> fmt::Result {
        self.text(text);
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> fmt::Result {
        let mut list = self.list();
        bytes.iter().try_for_each(|byte| list.item(byte))?;
        list.close();
        Ok(())
    }

    fn serialize_none(self) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> fmt::Result {
        value.serialize(self)
    }

    fn serialize_unit(self) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_unit_struct(self, _: &'static str) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> fmt::Result {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> fmt::Result {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> fmt::Result {
        let mut map = self.map();
        map.member(Cow::Borrowed(variant), value)?;
        map.close();
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<ListWriter<'a>, fmt::Error> {
        Ok(self.list())
    }

    fn serialize_tuple(self, _: usize) -> Result<ListWriter<'a>, fmt::Error> {
        Ok(self.list())
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<ListWriter<'a>, fmt::Error> {
        Ok(self.list())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<KeyedWriter<'a>, fmt::Error> {
        Ok(KeyedWriter {
            map: self.map(),
            key: String::new(),
        })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<MapWriter<'a>, fmt::Error> {
        Ok(self.map())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, fmt::Error> {
        Err(fmt::Error)
    }
}

impl SerializeSeq for ListWriter<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> fmt::Result {
        self.item(item)
    }

    fn end(self) -> fmt::Result {
        self.close();
        Ok(())
    }
}

impl SerializeTuple for ListWriter<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> fmt::Result {
        self.item(item)
    }

    fn end(self) -> fmt::Result {
        self.close();
        Ok(())
    }
}

impl SerializeTupleStruct for ListWriter<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, item: &T) -> fmt::Result {
        self.item(item)
    }

    fn end(self) -> fmt::Result {
        self.close();
        Ok(())
    }
}

impl SerializeStruct for MapWriter<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> fmt::Result {
        self.member(Cow::Borrowed(key), value)
    }

    fn end(self) -> fmt::Result {
        self.close();
        Ok(())
    }
}

/// A map whose keys are values themselves.
pub(super) struct KeyedWriter<'a> {
    map: MapWriter<'a>,
    key: String,
}

impl SerializeMap for KeyedWriter<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> fmt::Result {
        // A key is a string or a unit variant; `fmt::Formatter` is a serializer of just those.
        self.key = KeyText(key).to_string();
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> fmt::Result {
        let key = std::mem::take(&mut self.key);
        self.map.member(Cow::Owned(key), value)
    }

    fn end(self) -> fmt::Result {
        self.map.close();
        Ok(())
    }
}

struct KeyText<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> fmt::Display for KeyText<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}
